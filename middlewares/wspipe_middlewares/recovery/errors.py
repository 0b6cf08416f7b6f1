"""The table of exceptions: what the application raised, and the end that it becomes."""

from __future__ import annotations

from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from wspipe import ImproperlyConfiguredException, WebSocketException
from wspipe_middlewares.options import check_close_code, refusal
from wspipe_middlewares.recovery.close import Close, close_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    ErrorClass: TypeAlias = type[Exception] | str
    """A class of exceptions, or its name as `module:Name`."""
else:
    # Configuration reads this one: a key in a file is always a text.
    ErrorClass: TypeAlias = str


class ErrorTable:
    """Ends by exception class, the nearest one first.

    Args:
        codes: Close codes or ends by class.

    Raises:
        ImproperlyConfiguredException: A key is no exception class, or a value no end.
    """

    def __init__(self, codes: Mapping[ErrorClass, int | Close]) -> None:
        self._closes: dict[type, Close] = {
            _class_of(name): close_of(f"codes[{name!r}]", given) for name, given in codes.items()
        }

    def close_for(self, errors: list[BaseException]) -> Close | None:
        """Give the end that exceptions become, `None` where one of them is not in the table."""
        closes = [self._close_for(error) for error in errors]
        return None if None in closes else closes[0]

    def _close_for(self, error: BaseException) -> Close | None:
        for kind in type(error).__mro__:
            if kind in self._closes:
                return self._closes[kind]
            if kind is WebSocketException and (own := _own_close(error)):
                return own
        return None


def single_errors(error: BaseException) -> Iterator[BaseException]:
    """Give what is in an exception group, or else the exception itself."""
    if isinstance(error, BaseExceptionGroup):
        for each in cast("BaseExceptionGroup[BaseException]", error).exceptions:
            yield from single_errors(each)
    else:
        yield error


def _own_close(error: Any) -> Close | None:
    # 1011 says that the fault is ours, so the exception has to be heard of. A ProtocolError has it.
    if error.code == 1011:
        return None
    try:
        check_close_code("code", error.code)
    except ImproperlyConfiguredException:
        return None
    return Close(error.code)


def _class_of(name: Any) -> type[Exception]:
    kind = name
    if isinstance(name, str):
        try:
            kind = resolve_name(name)
        except Exception as error:
            right = f"an exception class that can be imported as 'module:Name', but: {error}"
            raise refusal("codes", name, right) from error
    if not (isinstance(kind, type) and issubclass(kind, Exception)):
        raise refusal("codes", name, "an exception class, or its name as 'module:Name'")
    if issubclass(kind, BaseExceptionGroup):
        raise refusal("codes", name, "a class of single exceptions: a group is what is in it")
    return kind
