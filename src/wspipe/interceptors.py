"""Middlewares made of plain functions, and middlewares for some connections only."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, cast, overload

from wspipe.exceptions import ImproperlyConfiguredException
from wspipe.pipeline import Composable, Pipeline, StateValidation
from wspipe.state_machine import RECEIVE, SEND
from wspipe.types import Event

if TYPE_CHECKING:
    from wspipe.connection import ASGIConnection
    from wspipe.types import Middleware, Receive, Send

Interceptor: TypeAlias = Callable[
    [Event, "ASGIConnection[Any, Any]"], Awaitable[Event | None] | Event | None
]
"""Takes an event and its connection; gives the event to pass on, or `None` to drop it."""


@dataclass(frozen=True, slots=True, repr=False)
class _Intercept(Composable):
    label: ClassVar[str]
    function: Interceptor
    lifecycle: bool = False
    is_async: bool = field(init=False, compare=False)

    def __post_init__(self) -> None:
        try:
            inspect.signature(self.function).bind(None, None)
        except (TypeError, ValueError) as error:
            raise ImproperlyConfiguredException(
                detail=f"{self.function!r} is not a function of (event, connection): {error}"
            ) from error
        function = self.function
        while isinstance(function, partial):
            function = function.func
        is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
            getattr(function, "__call__", None)  # noqa: B004 - an object with an async __call__
        )
        object.__setattr__(self, "is_async", is_async)

    def __repr__(self) -> str:
        name = getattr(self.function, "__qualname__", repr(self.function))
        lifecycle = ", lifecycle=True" if self.lifecycle else ""
        return f"{self.label}({name}{lifecycle})"

    def judge(self, result: object, event: Event, message: str) -> Event | None:
        """Decide what goes on: what the function gave, or the event that cannot be dropped."""
        if result is event:
            return event
        if isinstance(result, MutableMapping):
            return cast("Event", result)
        if result is None:
            return None if event["type"] == message else event
        raise ImproperlyConfiguredException(
            detail=f"{self!r} returned {result!r}; it must return the event to pass on, or None"
        )


@dataclass(frozen=True, slots=True, repr=False)
class _OnReceive(_Intercept):
    label: ClassVar[str] = "on_receive"

    def __call__(
        self, connection: ASGIConnection[Any, Any], receive: Receive, send: Send
    ) -> tuple[Receive, Send]:
        function, lifecycle, is_async = self.function, self.lifecycle, self.is_async
        judge = self.judge

        async def intercepted_receive() -> Event:
            while True:
                event = await receive()
                if event["type"] != RECEIVE and not lifecycle:
                    return event
                result: Any = function(event, connection)
                passed = judge(await result if is_async else result, event, RECEIVE)
                if passed is not None:
                    return passed

        return intercepted_receive, send


@dataclass(frozen=True, slots=True, repr=False)
class _OnSend(_Intercept):
    label: ClassVar[str] = "on_send"

    def __call__(
        self, connection: ASGIConnection[Any, Any], receive: Receive, send: Send
    ) -> tuple[Receive, Send]:
        function: Callable[..., Any] = self.function
        lifecycle, judge = self.lifecycle, self.judge

        def intercepted_send(event: Event) -> Awaitable[None]:
            if event["type"] != SEND and not lifecycle:
                return send(event)
            passed = judge(function(event, connection), event, SEND)
            return _nothing() if passed is None else send(passed)

        async def intercepted_send_async(event: Event) -> None:
            if event["type"] != SEND and not lifecycle:
                await send(event)
                return
            passed = judge(await function(event, connection), event, SEND)
            if passed is not None:
                await send(passed)

        return receive, intercepted_send_async if self.is_async else intercepted_send


async def _nothing() -> None:
    """Stand for the send of a dropped event."""


@overload
def on_receive(function: Interceptor, *, lifecycle: bool = False) -> Middleware: ...
@overload
def on_receive(*, lifecycle: bool = False) -> Callable[[Interceptor], Middleware]: ...


def on_receive(
    function: Interceptor | None = None, *, lifecycle: bool = False
) -> Middleware | Callable[[Interceptor], Middleware]:
    """Make a middleware of a function that sees each event on its way to the application.

    Also a decorator: `@on_receive` or `@on_receive(lifecycle=True)`.

    Args:
        function: Called with `(event, connection)`, sync or async. What it returns goes on;
            `None` drops a message.
        lifecycle: Show it connect and disconnect too. Those cannot be dropped: `None` lets them
            pass as they are.

    Raises:
        ImproperlyConfiguredException: The function does not take two arguments.
    """
    if function is None:
        return partial(_OnReceive, lifecycle=lifecycle)
    return _OnReceive(function, lifecycle)


@overload
def on_send(function: Interceptor, *, lifecycle: bool = False) -> Middleware: ...
@overload
def on_send(*, lifecycle: bool = False) -> Callable[[Interceptor], Middleware]: ...


def on_send(
    function: Interceptor | None = None, *, lifecycle: bool = False
) -> Middleware | Callable[[Interceptor], Middleware]:
    """Make a middleware of a function that sees each event on its way to the client.

    Also a decorator: `@on_send` or `@on_send(lifecycle=True)`.

    Args:
        function: Called with `(event, connection)`, sync or async. What it returns goes on;
            `None` drops a message.
        lifecycle: Show it accept, close and denial too. Those cannot be dropped: `None` lets them
            pass as they are.

    Raises:
        ImproperlyConfiguredException: The function does not take two arguments.
    """
    if function is None:
        return partial(_OnSend, lifecycle=lifecycle)
    return _OnSend(function, lifecycle)


@dataclass(frozen=True, slots=True, repr=False)
class _Select(Composable):
    condition: Callable[[ASGIConnection[Any, Any]], bool]
    chosen: Pipeline

    def __call__(
        self, connection: ASGIConnection[Any, Any], receive: Receive, send: Send
    ) -> tuple[Receive, Send]:
        if self.condition(connection):
            return self.chosen(connection, receive, send)
        return receive, send

    async def admit(self, connection: ASGIConnection[Any, Any]) -> None:
        if self.condition(connection):
            await self.chosen.admit(connection)

    @property
    def owns_resources(self) -> bool:
        return self.chosen.owns_resources

    async def startup(self) -> None:
        await self.chosen.startup()

    async def shutdown(self) -> None:
        await self.chosen.shutdown()

    def __repr__(self) -> str:
        name = getattr(self.condition, "__qualname__", repr(self.condition))
        inner = self.chosen.middlewares[0] if len(self.chosen) == 1 else self.chosen
        return f"select({name}, {inner!r})"


def select(
    condition: Callable[[ASGIConnection[Any, Any]], bool], middleware: Middleware
) -> Middleware:
    """Apply a middleware to some connections only; the others do not pass it at all.

    Args:
        condition: Decides on a connection by what its scope tells. It is asked when the pipeline
            is composed and again before admission, so it should give the same answer twice.
        middleware: The middleware or pipeline to apply.

    Raises:
        ImproperlyConfiguredException: The middleware is none, or is `StateValidation`, which every
            connection has.
    """
    chosen = Pipeline(middleware)
    if any(isinstance(stage, StateValidation) for stage in chosen):
        raise ImproperlyConfiguredException(
            detail="StateValidation cannot be selected: every connection has it"
        )
    return _Select(condition, chosen)
