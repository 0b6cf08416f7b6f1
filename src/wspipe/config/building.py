"""Making the middlewares that a configuration declares."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from wspipe.config.environment import expand, hide, told_safely
from wspipe.config.objects import UnfitValue
from wspipe.config.options import Option, UnfitClass, options_of
from wspipe.config.problems import shown
from wspipe.config.references import UnresolvedReference, is_reference, resolve
from wspipe.exceptions import WSPipeException
from wspipe.pipeline import Pipeline

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from wspipe.config.declarations import StageDeclaration
    from wspipe.config.positions import KeyPath
    from wspipe.config.problems import Problems
    from wspipe.config.registry import Registry
    from wspipe.types import Middleware

_FIRST_WORD = re.compile(r"(?:an? |the )?(\w+)")


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage of a configured pipeline.

    Args:
        declaration: How it is written.
        middleware: What was made of it.
        options: The options that its class has, by name; none for an object that was named.
        given: Those that were given, with what the environment holds put in; `None` for an object
            that was named.
    """

    declaration: StageDeclaration
    middleware: Middleware
    options: Mapping[str, Option]
    given: Mapping[str, Any] | None = field(repr=False)

    def is_like(self, kind: type[Any], given: Mapping[str, Any] | None) -> bool:
        """Tell whether it was made of a class with just these options.

        Args:
            kind: The class.
            given: The options, with what the environment holds put in.
        """
        if type(self.middleware) is not kind or self.given is None or given is None:
            return False
        # What is equal need not be the same: 1 and true, a password and where it comes from.
        return self.given == given and repr(_sorted(self.given)) == repr(_sorted(given))


def _sorted(options: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return sorted(options.items(), key=lambda item: item[0])


class Builder:
    """Makes a middleware of each declaration, once.

    Args:
        registry: The installed middlewares.
        environment: The environment.
        problems: Where to note what is wrong.
        previous: Stages of an earlier configuration. Where one is declared alike, its middleware
            lives on, with all that it has counted.
    """

    def __init__(
        self,
        registry: Registry,
        environment: Mapping[str, str],
        problems: Problems,
        previous: Iterable[Stage] = (),
    ) -> None:
        self.registry = registry
        self.environment = environment
        self._problems = problems
        self._previous = list(previous)
        self.secrets: dict[str, str] = {}
        """What the environment has put in, by the placeholders."""

    def build(self, declaration: StageDeclaration) -> Stage | None:
        """Make the middleware of a stage.

        Args:
            declaration: The stage as it is written.

        Returns:
            `None` where something is wrong, which is noted.
        """
        path = (*declaration.path, "use") if declaration.options else declaration.path
        try:
            target, options = self._find(declaration, path)
        except (UnfitValue, UnfitClass) as error:
            self._problems.add(path, str(error), given=declaration.use)
            return None
        if target is None:
            return None
        if not isinstance(target, type):
            return self._take(declaration, target, path)
        return self._make(declaration, target, options)

    def _find(
        self, declaration: StageDeclaration, path: KeyPath
    ) -> tuple[Any, Mapping[str, Option]]:
        use = declaration.use
        if not is_reference(use):
            if "${" in use:
                raise UnfitValue(
                    f"{shown(use)} is no middleware: the environment is for options only"
                )
            if "." in use or ":" in use:
                raise UnfitValue(
                    f"{shown(use)} is no middleware: one of Python code is named as "
                    '"module:attribute", such as "chat.limits:limit"'
                )
            plugin = self.registry.find(use)
            if plugin is not None:
                return plugin.middleware, plugin.options
            self._problems.unknown(
                path, "no installed package has a middleware", use, self.registry.names
            )
            return None, {}
        try:
            target = resolve(use)
        except UnresolvedReference as error:
            raise UnfitValue(str(error)) from error
        if not isinstance(target, type):
            return target, {}
        try:
            return target, options_of(target)
        except UnfitClass as error:
            raise UnfitClass(f"{shown(use)} {error}") from None

    def _take(self, declaration: StageDeclaration, target: Any, path: KeyPath) -> Stage | None:
        """Take an object that Python code made."""
        for key, value in declaration.options.items():
            self._problems.add(
                (*declaration.path, key),
                f"{shown(declaration.use)} is an object that is made already; "
                "only the middlewares that are classes have options",
                given=value,
            )
        return self._checked(Stage(declaration, target, {}, None), path)

    def _make(
        self, declaration: StageDeclaration, target: type[Any], options: Mapping[str, Option]
    ) -> Stage | None:
        before = len(self._problems)
        secrets: dict[str, str] = {}
        given: dict[str, Any] = {}
        values: dict[str, Any] = {}
        for name, written in declaration.options.items():
            path = (*declaration.path, name)
            if name not in options:
                what = f"{declaration.use} has no option"
                self._problems.unknown(path, what, name, options)
                continue
            noted = len(self._problems)
            given[name], found = expand(written, path, self.environment, self._problems)
            secrets |= found
            self.secrets |= found
            if len(self._problems) == noted:
                try:
                    values[name] = options[name].kind.convert(given[name])
                except UnfitValue as error:
                    self._problems.add(
                        path + error.path,
                        hide(str(error), found),
                        given=written,
                        allowed=error.allowed,
                        nearest=error.nearest,
                    )
        for option in options.values():
            if option.required and option.name not in declaration.options:
                self._problems.add(
                    declaration.path,
                    f"{declaration.use} needs the option {shown(option.name)}, "
                    f"which must be {option.kind}",
                )
        wrong = len(self._problems) > before
        middleware = None if wrong else self._living(declaration, target, given)
        if middleware is None:
            middleware = self._call(declaration, target, values, secrets, wrong=wrong)
        if middleware is None:
            return None
        return self._checked(Stage(declaration, middleware, options, given), declaration.path)

    def _living(
        self, declaration: StageDeclaration, target: type[Any], given: Mapping[str, Any]
    ) -> Any:
        """Find the middleware that the previous configuration made in the same way."""
        for old in self._previous:
            if old.declaration.pipeline == declaration.pipeline and old.is_like(target, given):
                self._previous.remove(old)
                return old.middleware
        return None

    def _call(
        self,
        declaration: StageDeclaration,
        target: type[Any],
        values: dict[str, Any],
        secrets: Mapping[str, str],
        *,
        wrong: bool,
    ) -> Any:
        """Call the class; where it refuses an option, note that, and look for more without it.

        With something `wrong` already, only what it refuses of the options that are left counts.
        """
        while True:
            try:
                middleware = target(**values)
            # A class may do anything when it is called, such as to exit.
            except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it is, it is noted
                if isinstance(error, WSPipeException):
                    message = str(error)
                else:
                    why = told_safely(error, secrets)
                    message = f"{shown(declaration.use)} cannot be made: {why}"
                blamed, message = _blamed(message, values, declaration.options)
                if wrong and blamed is None:
                    return None  # it may only lack what is wrong
                path = (*declaration.path, blamed) if blamed else declaration.path
                self._problems.add(
                    path,
                    hide(message, secrets),
                    given=declaration.options[blamed] if blamed else None,
                )
                if blamed is None:
                    return None
                del values[blamed]
                wrong = True
            else:
                return None if wrong else middleware

    def _checked(self, stage: Stage, path: KeyPath) -> Stage | None:
        try:
            Pipeline(stage.middleware)
        except WSPipeException as error:
            use = stage.declaration.use
            _, _, message = str(error).partition(": ")
            message = message.replace(repr(stage.middleware), shown(use), 1)
            self._problems.add(path, message, given=use)
            return None
        return stage


def _blamed(
    message: str, values: Mapping[str, Any], written: Mapping[str, Any]
) -> tuple[str | None, str]:
    """Find the option with which a message begins, and give the rest of the message.

    Args:
        message: Why a class refuses its options, such as `rate='5' must be ...`.
        values: Those that it was given.
        written: The same as the file has them.
    """
    word = _FIRST_WORD.match(message)
    if word is None or word[1] not in values:
        return None, message
    option, rest = word[1], message[word.end() :]
    if rest.startswith("="):
        given = f"={values[option]!r} "
        rest = rest.replace(given, f"{shown(written[option])} ") if given in rest else rest[1:]
    return option, rest.lstrip(": ")
