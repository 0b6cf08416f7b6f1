"""Composition: a pipeline is an immutable sequence of middlewares, and a middleware itself."""

from __future__ import annotations

import inspect
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from anyio import fail_after

from wspipe.exceptions import ConnectionRejected, ImproperlyConfiguredException
from wspipe.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from wspipe.config.config import Config
    from wspipe.config.document import Source
    from wspipe.connection import ASGIConnection
    from wspipe.types import Middleware, Receive, Send

SHUTDOWN_TIMEOUT = 5.0
"""Seconds that each stage has to shut down."""


class Composable:
    """Gives `|` to a middleware class: `A() | B()` is `Pipeline(A(), B())`.

    For convenience only; a middleware that does not inherit it works in a pipeline all the same.
    """

    __slots__ = ()

    if TYPE_CHECKING:

        def __call__(
            self, connection: ASGIConnection[Any, Any], receive: Receive, send: Send
        ) -> tuple[Receive, Send]:
            """Wrap the two directions of one connection: see `Middleware`."""
            ...

    def __or__(self, other: Middleware) -> Pipeline:
        """Put `other` behind this middleware, closer to the application."""
        return Pipeline(self, other)

    def __ror__(self, other: Middleware) -> Pipeline:
        """Put `other` before this middleware, closer to the server."""
        return Pipeline(other, self)


@dataclass(frozen=True, slots=True)
class StateValidation(Composable):
    """The wire stage, always the first of a pipeline and present even where it is not named.

    It refuses what the ASGI WebSocket specification forbids, from either side, and keeps the
    connection's tally and end.

    Args:
        strict: Check the content of each event too: exactly one of text and bytes, close codes
            that may be sent, lower-case header names. Then a send after the client has left
            raises `WebSocketDisconnect` without reaching the server. Off by default around other
            applications, on in `websocket_app` and `WebSocket`.
    """

    strict: bool = False

    def __call__(
        self, connection: ASGIConnection[Any, Any], receive: Receive, send: Send
    ) -> tuple[Receive, Send]:
        """Put a new `Wire` between the server and the connection."""
        wire = Wire(connection, receive, send, strict=self.strict)
        connection.attach_wire(wire)
        return wire.receive, wire.send


@dataclass(frozen=True, slots=True, init=False, repr=False)
class Pipeline(Composable):
    """Middlewares in order: the first is the closest to the server.

    An inbound event passes them from first to last, an outbound event from last to first. A
    pipeline inside a pipeline is laid out flat: `Pipeline(A(), Pipeline(B(), C()))` equals
    `Pipeline(A(), B(), C())`. The methods that change one return a new one.

    Args:
        *middlewares: The stages.

    Raises:
        ImproperlyConfiguredException: Something is not a middleware, or `StateValidation` is not
            first. The message names the position, counted from 0.
    """

    middlewares: tuple[Middleware, ...]

    def __init__(self, *middlewares: Middleware) -> None:
        stages: list[Middleware] = []
        for middleware in middlewares:
            if isinstance(middleware, Pipeline):
                stages.extend(middleware.middlewares)
            else:
                _check_middleware(middleware, len(stages))
                stages.append(middleware)
        _check_order(stages)
        object.__setattr__(self, "middlewares", tuple(stages))

    @classmethod
    def from_config(cls, source: Source | Config = None, name: str | None = None) -> Pipeline:
        """Give a pipeline of a configuration.

        Args:
            source: A file ending in `.toml` or `.json`, of a `pyproject.toml` the table
                `[tool.wspipe]`; a dictionary; or a `Config`. Left out, it is `wspipe.toml` in the
                current directory, or else its `pyproject.toml`.
            name: The name of the pipeline; left out, the default one.

        Raises:
            ConfigurationError: Something is wrong with the configuration, or there is no such
                pipeline.
        """
        from wspipe.config.config import Config  # noqa: PLC0415 - it is made of pipelines

        return Config.load(source).named(name).pipeline

    def __call__(
        self, connection: ASGIConnection[Any, Any], receive: Receive, send: Send
    ) -> tuple[Receive, Send]:
        """Wrap the pair in every stage, the first innermost to the server."""
        for middleware in self.middlewares:
            receive, send = _wrap(middleware, connection, receive, send)
        return receive, send

    async def admit(self, connection: ASGIConnection[Any, Any]) -> None:
        """Let every stage that has an `admit` decide on the connection, from first to last.

        Raises:
            ConnectionRejected: A stage denies it; `by` tells which one.
        """
        for middleware in self.middlewares:
            admit = getattr(middleware, "admit", None)
            if admit is not None:
                try:
                    await admit(connection)
                except ConnectionRejected as rejection:
                    if rejection.by is not None:
                        raise
                    # A copy, because the stage may raise one and the same object every time.
                    denial = copy(rejection)
                    denial.by = middleware
                    raise denial from rejection

    async def startup(self) -> None:
        """Start every stage that owns resources, from first to last.

        Where one fails, those that were started are shut down again.
        """
        started: list[Middleware] = []
        try:
            for middleware in self.middlewares:
                startup = getattr(middleware, "startup", None)
                if startup is not None:
                    await startup()
                started.append(middleware)
        except BaseException as error:
            try:
                await _shut_down(started)
            except ExceptionGroup as group:
                error.add_note(f"and then {group!r}")
            raise

    async def shutdown(self) -> None:
        """Shut down every stage that owns resources, from last to first.

        One that fails does not keep the others from shutting down.

        Raises:
            ExceptionGroup: Some failed.
        """
        await _shut_down(self.middlewares)

    @property
    def owns_resources(self) -> bool:
        """Whether any stage takes part in the lifespan."""
        return any(
            getattr(
                middleware,
                "owns_resources",
                hasattr(middleware, "startup") or hasattr(middleware, "shutdown"),
            )
            for middleware in self.middlewares
        )

    def with_wire(self, *, strict: bool) -> Pipeline:
        """Give the pipeline with its wire stage, added where it is not named.

        Args:
            strict: Whether a wire stage that is added checks the content of events too.
        """
        if self.middlewares and isinstance(self.middlewares[0], StateValidation):
            return self
        return Pipeline(StateValidation(strict=strict), *self.middlewares)

    def __iter__(self) -> Iterator[Middleware]:
        """Go through the stages, from the server to the application."""
        return iter(self.middlewares)

    def __len__(self) -> int:
        """Count the stages."""
        return len(self.middlewares)

    def __repr__(self) -> str:
        """Read as the code that makes it."""
        return f"Pipeline({', '.join(map(repr, self.middlewares))})"

    def before(self, kind: type[Any], middleware: Middleware) -> Pipeline:
        """Insert a middleware before the one of the given type, on its server side.

        Args:
            kind: The type of the one stage to look for.
            middleware: What to insert; a pipeline inserts all its stages.

        Raises:
            ImproperlyConfiguredException: Not exactly one stage is of that type.
        """
        index = self._index(kind)
        return Pipeline(*self.middlewares[:index], middleware, *self.middlewares[index:])

    def after(self, kind: type[Any], middleware: Middleware) -> Pipeline:
        """Insert a middleware after the one of the given type, on its application side.

        Args:
            kind: The type of the one stage to look for.
            middleware: What to insert; a pipeline inserts all its stages.

        Raises:
            ImproperlyConfiguredException: Not exactly one stage is of that type.
        """
        index = self._index(kind) + 1
        return Pipeline(*self.middlewares[:index], middleware, *self.middlewares[index:])

    def replace(self, kind: type[Any], middleware: Middleware) -> Pipeline:
        """Put a middleware in the place of the one of the given type.

        Args:
            kind: The type of the one stage to look for.
            middleware: What to put there; a pipeline puts all its stages.

        Raises:
            ImproperlyConfiguredException: Not exactly one stage is of that type.
        """
        index = self._index(kind)
        return Pipeline(*self.middlewares[:index], middleware, *self.middlewares[index + 1 :])

    def without(self, kind: type[Any]) -> Pipeline:
        """Leave out every middleware of the given type.

        Args:
            kind: The type of the stages to leave out.

        Raises:
            ImproperlyConfiguredException: No stage is of that type.
        """
        kept = tuple(stage for stage in self.middlewares if not isinstance(stage, kind))
        if len(kept) == len(self.middlewares):
            raise self._not_found(kind, 0)
        return Pipeline(*kept)

    def _index(self, kind: type[Any]) -> int:
        found = [i for i, stage in enumerate(self.middlewares) if isinstance(stage, kind)]
        if len(found) != 1:
            raise self._not_found(kind, len(found))
        return found[0]

    def _not_found(self, kind: type[Any], count: int) -> ImproperlyConfiguredException:
        wanted = "at least one" if count == 0 else "just one"
        return ImproperlyConfiguredException(
            detail=f"the pipeline has {count or 'no'} {kind.__name__}, {wanted} is needed: {self!r}"
        )


def _wrap(
    middleware: Middleware, connection: ASGIConnection[Any, Any], receive: Receive, send: Send
) -> tuple[Receive, Send]:
    pair: object = middleware(connection, receive, send)
    match pair:
        case (wrapped_receive, wrapped_send) if callable(wrapped_receive) and callable(
            wrapped_send
        ):
            return wrapped_receive, wrapped_send
        case _:
            raise ImproperlyConfiguredException(
                detail=f"{middleware!r} returned {pair!r}, not the pair (receive, send)"
            )


async def _shut_down(middlewares: Sequence[Middleware]) -> None:
    errors: list[Exception] = []
    for middleware in reversed(middlewares):
        shutdown = getattr(middleware, "shutdown", None)
        if shutdown is not None:
            try:
                with fail_after(SHUTDOWN_TIMEOUT, shield=True):
                    await shutdown()
            except Exception as error:  # noqa: BLE001 - each has its turn, all are raised
                errors.append(error)
    if errors:
        raise ExceptionGroup("shutdown of the pipeline failed", errors)


def _check_middleware(middleware: object, position: int) -> None:
    problem = None
    if isinstance(middleware, type):
        problem = f"a class; write {middleware.__name__}() to make a middleware of it"
    elif not callable(middleware):
        problem = "not callable; a middleware is called with (connection, receive, send)"
    elif is_async(middleware):
        problem = "async; a middleware is a plain function that returns (receive, send)"
    else:
        try:
            inspect.signature(middleware).bind(None, None, None)
        except TypeError:
            problem = (
                "not called with (connection, receive, send); "
                "on_receive() and on_send() make a middleware of a function (event, connection)"
            )
        except ValueError:
            problem = None
    if problem:
        raise ImproperlyConfiguredException(
            detail=f"position {position} of the pipeline: {middleware!r} is {problem}"
        )


def may_reject(middleware: Middleware) -> bool:
    """Tell whether a middleware may deny a connection before the application sees it.

    Args:
        middleware: One that says so itself, as `rejects`; else, it may if it has an `admit`.
    """
    return bool(getattr(middleware, "rejects", hasattr(middleware, "admit")))


def rehearsal_of(middleware: Middleware) -> Middleware:
    """Give what is measured in the place of a middleware: its `rehearsal()`, or itself.

    Args:
        middleware: A stage of a pipeline.
    """
    rehearsal = getattr(middleware, "rehearsal", None)
    return middleware if rehearsal is None else rehearsal()


def name_of(middleware: object) -> str:
    """Name a middleware for a person: by its type; what is made of a function, by that."""
    kind = type(middleware).__name__
    # `on_receive(censor)` says more than `_OnReceive`.
    return repr(middleware) if kind.startswith("_") else getattr(middleware, "__name__", kind)


def is_async(function: object) -> bool:
    """Tell whether calling something gives a coroutine: an async function, or such an object."""
    if isinstance(function, type):
        return False
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - an object with an async __call__
    )


def _check_order(stages: list[Middleware]) -> None:
    for position, middleware in enumerate(stages):
        if position and isinstance(middleware, StateValidation):
            raise ImproperlyConfiguredException(
                detail=f"position {position} of the pipeline: {middleware!r} must be the first "
                "stage, the closest to the server, or be left out: it is always there"
            )
