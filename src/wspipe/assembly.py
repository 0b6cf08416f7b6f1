"""A connection assembled from its class's pipeline, which can also be its own runner."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self

from wspipe.closing import plan_end, reject
from wspipe.connection import ASGIConnection, empty_receive, empty_send
from wspipe.ending import who_ended
from wspipe.exceptions import ConnectionRejected, ImproperlyConfiguredException
from wspipe.judgement import kind_of
from wspipe.pipeline import Pipeline
from wspipe.scope import Auth, User
from wspipe.state_machine import ACCEPT, UNANSWERED
from wspipe.stepping import SteppedReceive

if TYPE_CHECKING:
    from types import TracebackType

    from anyio import Lock

    from wspipe.stepping import Step
    from wspipe.types import Event, Middleware, Receive, Scope, Send

_logger = logging.getLogger("wspipe")


class AssembledConnection(ASGIConnection[User, Auth], Generic[User, Auth]):
    """A connection whose receive and send are the pipeline of its class; the base of `WebSocket`.

    Args:
        scope: The ASGI scope.
        receive: Gives the server's next event.
        send: Takes an event to the server.
    """

    __slots__ = (
        "_accepting",
        "_admitted",
        "_chain",
        "_connecting",
        "_ends",
        "_live_wire",
        "_receive",
        "_send",
        "_step",
        "_stepped",
    )

    pipeline: ClassVar[Pipeline] = Pipeline().with_wire(strict=True)
    """The pipeline that the class is assembled from, its wire stage included."""
    runs_itself: ClassVar[bool] = True
    """Whether the end of the connection runs here, because no wspipe runner does it."""
    passes_by: ClassVar[tuple[bool, bool]] = (False, False)
    """Whether the class, receiving and sending, passes its wire by where no stage wraps it."""

    def __init_subclass__(cls, *, pipeline: Middleware | None = None, **kwargs: Any) -> None:
        """Take the pipeline of the subclass.

        Args:
            pipeline: A pipeline or a single middleware; left out, the class inherits.
            **kwargs: For other base classes.
        """
        super().__init_subclass__(**kwargs)
        if "pipeline" in cls.__dict__:
            raise ImproperlyConfiguredException(
                detail=f"give the pipeline as class {cls.__name__}(..., pipeline=...), "
                "not as an attribute in its body"
            )
        for name in ("receive", "send"):
            if name in cls.__dict__:
                raise ImproperlyConfiguredException(
                    detail=f"{cls.__name__}.{name} would hide the pipeline; "
                    f"wrap what super().{name}_wrapper() gives instead"
                )
        if pipeline is not None:
            cls.pipeline = Pipeline(pipeline).with_wire(strict=True)

    def __init__(
        self, scope: Scope, receive: Receive = empty_receive, send: Send = empty_send
    ) -> None:
        self._chain = self._ends = receive, send
        self._stepped: SteppedReceive | None = None
        self._step: Step | None = None
        super().__init__(scope, receive, send)
        self._connecting: Lock | None = None
        self._accepting: Lock | None = None
        self._admitted = False
        self._chain = self.pipeline(self, receive, send)
        self._live_wire = self.wire
        outermost = self._chain[0]
        if isinstance(outermost, SteppedReceive):
            self._stepped, self._step = outermost, outermost.step
            outermost.on_backlog = self._look_for_stages
        self._ends = (self._receive_to_end, self._send_to_end) if self.runs_itself else self._chain
        self.receive = self.receive_wrapper(receive)  # pyright: ignore[reportIncompatibleMethodOverride]
        self.send = self.send_wrapper(send)  # pyright: ignore[reportIncompatibleMethodOverride]

    # Properties, because the wire has to know whether it may be passed by: see `Wire`.

    @property
    def receive(self) -> Receive:
        """Gives the next event that came through the pipeline."""
        return self._receive

    @receive.setter
    def receive(self, receive: Receive) -> None:
        self._receive = receive
        self._look_for_stages()

    @property
    def send(self) -> Send:
        """Takes an event through the pipeline."""
        return self._send

    @send.setter
    def send(self, send: Send) -> None:
        self._send = send
        self._look_for_stages()

    def _look_for_stages(self) -> None:
        wire, stepped = self._wire, self._stepped
        if wire is not None:
            receives, sends = self.passes_by
            receive = self._chain[0] if stepped is None else stepped.receive
            wire.let_pass(
                receive=receives
                and self._receive is self._ends[0]
                and receive == wire.receive
                and not (stepped and stepped.backlog),
                send=sends and self._send is self._ends[1] and self._chain[1] == wire.send,
            )

    def receive_wrapper(self, receive: Receive) -> Receive:
        """Give the receive side of the class's pipeline around `receive`.

        The pipeline is composed once; this binds its far end. A subclass may override it and
        wrap what `super()` gives.

        Args:
            receive: Gives the server's next event.
        """
        self._live_wire.bind_receive(receive)
        return self._ends[0]

    def send_wrapper(self, send: Send) -> Send:
        """Give the send side of the class's pipeline around `send`.

        The pipeline is composed once; this binds its far end. A subclass may override it and
        wrap what `super()` gives.

        Args:
            send: Takes an event to the server.
        """
        self._live_wire.bind_send(send)
        return self._ends[1]

    # The end of the connection, where no wspipe runner is there to run it.

    async def __aenter__(self) -> Self:
        """Enter a block at whose end the connection's end runs."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        """Run the connection's end; where nobody has closed yet, it is this side that ends it."""
        plan_end(self._live_wire, None, who_ended(error))
        return await self.finish(error)

    async def _receive_to_end(self) -> Event:
        try:
            return await self._chain[0]()
        finally:
            if not self._live_wire.open:
                await self._end_if_over()

    async def _send_to_end(self, event: Event) -> None:
        if not self._admitted and self._live_wire.sent == UNANSWERED and kind_of(event) == ACCEPT:
            await self._admit()
        try:
            await self._chain[1](event)
        finally:
            # While it is open and the client there, nothing has ended: no coroutine per message.
            if not self._live_wire.open or self._live_wire.ending.lost:
                await self._end_if_over()

    async def _end_if_over(self) -> None:
        wire = self._live_wire
        # While a close is on its way, the end waits until it is known what becomes of it.
        if (
            wire.ended
            or wire.ending.lost
            or (wire.evicted and not wire.closing and not wire.answering)
        ):
            await self._end()

    async def _end(self) -> None:
        """Run the end where no runner does; what fails there must not hide what goes on here."""
        if self.runs_itself:
            try:
                await self.finish(None)
            except Exception:
                _logger.exception("an exit callback failed")

    async def _admit(self) -> None:
        try:
            await self.pipeline.admit(self)
        except ConnectionRejected as rejection:
            await reject(self._live_wire, rejection)
            await self._end()
            raise
        self._admitted = True
