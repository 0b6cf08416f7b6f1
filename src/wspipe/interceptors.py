"""Middlewares made of plain functions, and middlewares for some connections only."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, cast, overload

from wspipe.exceptions import ImproperlyConfiguredException
from wspipe.judgement import kind_of
from wspipe.pipeline import (
    Composable,
    Pipeline,
    StateValidation,
    is_async,
    may_reject,
    rehearsal_of,
)
from wspipe.state_machine import RECEIVE, SEND
from wspipe.stepping import SteppedReceive
from wspipe.types import Event

if TYPE_CHECKING:
    from wspipe.connection import ASGIConnection
    from wspipe.types import Middleware, Receive, Send

Interceptor: TypeAlias = Callable[
    [Event, "ASGIConnection[Any, Any]"], Awaitable[Event | None] | Event | None
]
"""Takes an event and its connection; gives the event to pass on, or `None` to drop it."""

if TYPE_CHECKING:
    Decorator: TypeAlias = Callable[[Interceptor], Composable]


@dataclass(frozen=True, slots=True, repr=False)
class _Intercept(Composable):
    label: ClassVar[str]
    message: ClassVar[str]
    function: Callable[..., Any]
    lifecycle: bool = False

    def __post_init__(self) -> None:
        try:
            inspect.signature(self.function).bind(None, None)
        except (TypeError, ValueError) as error:
            raise ImproperlyConfiguredException(
                detail=f"{self.function!r} is not a function of (event, connection): {error}"
            ) from error

    def __repr__(self) -> str:
        name = getattr(self.function, "__qualname__", repr(self.function))
        lifecycle = ", lifecycle=True" if self.lifecycle else ""
        return f"{self.label}({name}{lifecycle})"

    def decide(self, result: object, event: Event) -> Event | None:
        """Say what goes on: what the function gave, or the event where it cannot be dropped."""
        if kind_of(result) is not None:
            return cast("Event", result)
        if result is None:
            return None if kind_of(event) == self.message else event
        raise ImproperlyConfiguredException(
            detail=f"{self!r} returned {result!r}; it must return the event to pass on, or None"
        )


@dataclass(frozen=True, slots=True, repr=False)
class _OnReceive(_Intercept):
    label: ClassVar[str] = "on_receive"
    message: ClassVar[str] = RECEIVE

    def __call__(
        self, connection: ASGIConnection[Any, Any], receive: Receive, send: Send
    ) -> tuple[Receive, Send]:
        function, decide = self.function, self.decide

        def step(event: Event) -> Awaitable[Event | None] | Event | None:
            result: object = function(event, connection)
            if result is event:
                return event
            return later(result, event) if inspect.isawaitable(result) else decide(result, event)

        async def later(result: Awaitable[object], event: Event) -> Event | None:
            return decide(await result, event)

        async def receive_all() -> Event:
            while True:
                event = await receive()
                passed: Any = step(event)
                if passed is not event and inspect.isawaitable(passed):
                    passed = await passed
                if passed is not None:
                    return cast("Event", passed)

        return receive_all if self.lifecycle else SteppedReceive(receive, step), send


@dataclass(frozen=True, slots=True, repr=False)
class _OnSend(_Intercept):
    label: ClassVar[str] = "on_send"
    message: ClassVar[str] = SEND

    def __call__(
        self, connection: ASGIConnection[Any, Any], receive: Receive, send: Send
    ) -> tuple[Receive, Send]:
        function, lifecycle, decide = self.function, self.lifecycle, self.decide

        def intercepted_send(event: Event) -> Awaitable[None]:
            if kind_of(event) != SEND and not lifecycle:
                return send(event)
            result: object = function(event, connection)
            if result is event:
                return send(event)
            if inspect.isawaitable(result):
                return send_later(result, event)
            passed = decide(result, event)
            return _nothing() if passed is None else send(passed)

        async def send_later(result: Awaitable[object], event: Event) -> None:
            passed = decide(await result, event)
            if passed is not None:
                await send(passed)

        return receive, intercepted_send


async def _nothing() -> None:
    """Stand for the send of a dropped event."""


@overload
def on_receive(function: Interceptor, *, lifecycle: bool = False) -> Composable: ...
@overload
def on_receive(*, lifecycle: bool = False) -> Decorator: ...


def on_receive(
    function: Interceptor | None = None, *, lifecycle: bool = False
) -> Composable | Decorator:
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
def on_send(function: Interceptor, *, lifecycle: bool = False) -> Composable: ...
@overload
def on_send(*, lifecycle: bool = False) -> Decorator: ...


def on_send(
    function: Interceptor | None = None, *, lifecycle: bool = False
) -> Composable | Decorator:
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
        if not self.condition(connection):
            return receive, send
        connection.selected |= {id(self)}
        return self.chosen(connection, receive, send)

    async def admit(self, connection: ASGIConnection[Any, Any]) -> None:
        if id(self) in connection.selected:
            await self.chosen.admit(connection)

    @property
    def owns_resources(self) -> bool:
        return self.chosen.owns_resources

    @property
    def rejects(self) -> bool:
        return any(map(may_reject, self.chosen))

    @property
    def observes(self) -> bool:
        return any(getattr(stage, "observes", False) for stage in self.chosen)

    def rehearsal(self) -> _Select:
        return replace(self, chosen=Pipeline(*map(rehearsal_of, self.chosen)))

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
) -> Composable:
    """Apply a middleware to some connections only; the others do not pass it at all.

    Args:
        condition: Decides on a connection by what its scope tells. It is asked once, when the
            pipeline is composed, before any stage has admitted the connection.
        middleware: The middleware or pipeline to apply.

    Raises:
        ImproperlyConfiguredException: The middleware is none, or is `StateValidation`, which every
            connection has.
    """
    if not callable(condition) or is_async(condition):
        raise ImproperlyConfiguredException(
            detail=f"the condition must be a plain function of the connection, not {condition!r}"
        )
    chosen = Pipeline(middleware)
    if any(isinstance(stage, StateValidation) for stage in chosen):
        raise ImproperlyConfiguredException(
            detail="StateValidation cannot be selected: every connection has it"
        )
    return _Select(condition, chosen)
