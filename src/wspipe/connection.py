"""The connection: what the scope tells, and everything that is known of the conversation."""

from __future__ import annotations

import logging
import secrets
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, TypeAlias

from anyio import Event as Signal
from anyio import move_on_after

from wspipe.closing import CLOSE_TIMEOUT, close
from wspipe.ending import Ending
from wspipe.exceptions import ImproperlyConfiguredException, ProtocolError
from wspipe.exit_stack import ExitStack
from wspipe.scope import Auth, ScopeReader, User
from wspipe.state_machine import UNANSWERED, WAITING
from wspipe.tally import Traffic

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from structlog.typing import FilteringBoundLogger

    from wspipe.application_scope import ApplicationScope
    from wspipe.types import Event, Receive, Scope, Send
    from wspipe.wire import Wire

_logger = logging.getLogger("wspipe")

_NO_SCOPE: Final = nullcontext()

ConnectionState: TypeAlias = Literal["init", "connect", "receive", "disconnect"]


async def empty_receive() -> Event:
    """Stand in for the receive of a connection that was made without one.

    Raises:
        ImproperlyConfiguredException: Always.
    """
    raise ImproperlyConfiguredException(detail="the connection was made without a receive")


async def empty_send(event: Event) -> None:
    """Stand in for the send of a connection that was made without one.

    Raises:
        ImproperlyConfiguredException: Always.
    """
    raise ImproperlyConfiguredException(
        detail=f"the connection was made without a send; it cannot send {event!r}"
    )


class ASGIConnection(ScopeReader[User, Auth], Generic[User, Auth]):
    """One WebSocket connection, as the middlewares around it see it.

    Args:
        scope: The ASGI scope.
        receive: Gives the next event.
        send: Takes an event.
    """

    __slots__ = (
        "__weakref__",
        "_application_scope",
        "_exit_stack",
        "_finished",
        "_id",
        "_wire",
        "ending",
        "error",
        "handshake_status",
        "receive",
        "selected",
        "send",
        "traffic",
    )

    receive: Receive
    """Gives the next event from the server."""
    send: Send
    """Takes an event towards the server."""
    traffic: Traffic
    """Messages and bytes, received and sent."""
    ending: Ending
    """How the conversation ended; `close_code`, `close_reason` and `closed_by` read it."""
    error: BaseException | None
    """What ended the application, cancellation included; also where a stage turned it into a
    close. `None` where it returned, or only reported that the conversation was over."""
    handshake_status: int | None
    """The HTTP status that answered the handshake, which is 101 where it was accepted."""

    def __init__(
        self, scope: Scope, receive: Receive = empty_receive, send: Send = empty_send
    ) -> None:
        super().__init__(scope)
        self.traffic = Traffic()
        self.ending = Ending()
        self.error = None
        self.selected: frozenset[int] = frozenset()
        self.handshake_status = None
        self._wire: Wire | None = None
        self._exit_stack: ExitStack | None = None
        self._finished = False
        self._application_scope: ApplicationScope | None = None
        self._id: str | None = None
        self.receive = receive
        self.send = send

    @property
    def id(self) -> str:
        """A random name of the connection, 16 hexadecimal digits, for logs and traces."""
        if self._id is None:
            self._id = secrets.token_hex(8)
        return self._id

    # The conversation: read from the wire stage.

    @property
    def has_wire(self) -> bool:
        """Whether a pipeline is around this connection."""
        return getattr(self, "_wire", None) is not None

    @property
    def wire(self) -> Wire:
        """The wire stage of the pipeline around this connection.

        Raises:
            ImproperlyConfiguredException: No pipeline is around it.
        """
        if self._wire is None:
            raise ImproperlyConfiguredException(
                detail="no pipeline is around this connection: use WebSocket, websocket_app or "
                "PipelineMiddleware"
            )
        return self._wire

    def attach_wire(self, wire: Wire) -> None:
        """Take the wire stage's state; `StateValidation` calls this once.

        Args:
            wire: That state.

        Raises:
            ImproperlyConfiguredException: The connection has a wire stage already.
        """
        if self._wire is not None:
            raise ImproperlyConfiguredException(
                detail="the connection has its StateValidation already"
            )
        self._wire = wire

    @property
    def connection_state(self) -> ConnectionState:
        """Where the conversation is.

        `"init"` before the connect event, `"connect"` before the first message, `"receive"` from
        then on, `"disconnect"` once either side has ended it.
        """
        wire = self._wire
        if wire is None:
            return "init"
        if wire.over or wire.ending.lost or wire.evicted:
            return "disconnect"
        if wire.received == WAITING and wire.sent == UNANSWERED:
            return "init"
        return "receive" if self.traffic.messages_received else "connect"

    @property
    def close_code(self) -> int | None:
        """The close code, once the conversation ended with one (RFC 6455 section 7.4)."""
        return self.ending.code

    @property
    def close_reason(self) -> str:
        """The close reason, empty where none was given."""
        return self.ending.reason

    @property
    def closed_by(self) -> Any:
        """Who ended the conversation.

        `"client"`, `"application"`, `"server"`, the middleware that closed or rejected it,
        `"unknown"` where the disconnect event does not tell, `None` while it goes on.
        """
        return self.ending.by

    @property
    def evicted(self) -> bool:
        """Whether `close(by=...)` took the connection from the application."""
        return self.ending.eviction is not None

    @property
    def exit_stack(self) -> ExitStack:
        """What to run at the end of the connection, last in first out."""
        if self._exit_stack is None:
            self._exit_stack = ExitStack()
        return self._exit_stack

    @property
    def application_scope(self) -> ApplicationScope:
        """What the runner puts around the application; its `cancel()` cancels that.

        A stage that may have to do so asks for it while it wraps. `close(by=...)` first, so that
        the client is told. The application ends without an error then. Without a runner there is
        nothing in it.
        """
        if self._application_scope is None:
            from wspipe.application_scope import ApplicationScope  # noqa: PLC0415 - it needs asyncio

            self._application_scope = ApplicationScope()
        return self._application_scope

    def running(self) -> AbstractContextManager[object]:
        """Give what a runner enters while it runs the application."""
        return self._application_scope or _NO_SCOPE

    def on_handshake(self, callback: Callable[[Event], None]) -> None:
        """Have a function called when the handshake is answered.

        It costs nothing per message, unlike a wrapper that waits for the event.

        Args:
            callback: Called once, with the event that the server took: the accept, the close or
                the start of the denial response. `handshake_status` is set by then.
        """
        self.wire.handshake_callbacks.append(callback)

    def allow_interruption(self) -> None:
        """Let a receive that waits be ended; for a stage that closes with `linger`.

        To be called while it wraps. Each receive costs a little more then.
        """
        self.wire.allow_interruption()

    async def close(
        self, code: int = 1000, reason: str | None = None, *, by: object, linger: float = 0.0
    ) -> None:
        """Close from the middle of the pipeline; may be called from any task.

        The server gets the close directly. From then on the application's receive gives
        `websocket.disconnect` and its send raises `WebSocketDisconnect`, and neither counts as its
        fault. Does nothing where the conversation is over. Where the application is just closing,
        waits for that, and closes only if it comes to nothing. Where an accept is on its way, the
        close follows it.

        A receive that is waiting at that moment ends when the server reports the end, as ASGI has
        it; `linger` sees to it that it does end, also where the client has vanished. Daphne takes
        only the codes 1000 and 3000 to 4999: there any other becomes 1000, with a warning.

        Args:
            code: The close code; before the accept, servers answer 403 instead.
            reason: The reason, cut to the 123 bytes that fit.
            by: Who closes: the middleware itself, or a name.
            linger: Seconds that the connection has to end after the close, for which this waits.
                Then a receive that waits is ended, where `allow_interruption` was called. Not to
                be waited for by the application's own task.

        Raises:
            ProtocolError: The code may not be sent.
        """
        with move_on_after(CLOSE_TIMEOUT) as scope:
            try:
                await close(self.wire, code, reason or "", by)
            except ProtocolError:
                raise
            except Exception as error:
                # Daphne takes 1000 and 3000 to 4999 only. Whatever the code, it has to end.
                if code == 1000:
                    raise
                _logger.warning("the server refuses close code %s: %s; closing 1000", code, error)
                await close(self.wire, 1000, reason or "", by)
        if scope.cancelled_caught:
            _logger.warning("the server took no close within %s seconds", CLOSE_TIMEOUT)
        if linger and self.evicted and not self._finished:
            await self._linger(0 if scope.cancelled_caught else linger)

    async def _linger(self, seconds: float) -> None:
        ended = Signal()
        self.exit_stack.callback(ended.set)
        with move_on_after(seconds):
            await ended.wait()
            return
        if self.wire.interruptible is not None:
            self.wire.interruptible.interrupt()

    def is_reported_by(self, error: BaseException) -> bool:
        """Tell whether an exception only reports that the conversation is over.

        Args:
            error: What a send or a receive raised, or the application after that.
        """
        return self.ending.is_reported_by(error)

    async def finish(self, error: BaseException | None) -> bool:
        """Run the end of the connection; for whoever runs the application.

        Args:
            error: What ended the application, `None` where it returned.

        Returns:
            Whether an exit callback suppressed the error.
        """
        self._finished = True
        if error is not None and not self.is_reported_by(error):
            self.error = error
        if self._exit_stack is None:
            return False
        return await self._exit_stack.unwind(error)

    @property
    def logger(self) -> FilteringBoundLogger:
        """A structlog logger that carries this connection's id."""
        import structlog  # noqa: PLC0415 - only who logs pays for it

        logger: FilteringBoundLogger = structlog.get_logger("wspipe").bind(connection_id=self.id)
        return logger
