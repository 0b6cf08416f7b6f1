"""The connection: the scope, read for you, and everything that is known of the conversation."""

from __future__ import annotations

import logging
import secrets
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, TypeAlias, cast

from anyio import move_on_after
from typing_extensions import TypeVar

from wspipe.datastructures import Address, State
from wspipe.exceptions import ImproperlyConfiguredException, ProtocolError
from wspipe.exit_stack import ExitStack
from wspipe.request import base_url_of, cookies_of, headers_of, query_params_of, url_of
from wspipe.state_machine import UNANSWERED, WAITING
from wspipe.tally import Ending, Traffic

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from multidict import CIMultiDictProxy, MultiDictProxy
    from structlog.typing import FilteringBoundLogger
    from yarl import URL

    from wspipe.types import Event, Receive, Scope, Send
    from wspipe.wire import Wire

_logger = logging.getLogger("wspipe")

CLOSE_TIMEOUT: Final = 5.0
"""Seconds that a server has to take a close that wspipe sends by itself."""

User = TypeVar("User", default=Any)
Auth = TypeVar("Auth", default=Any)

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


class ASGIConnection(Generic[User, Auth]):
    """One WebSocket connection, as the middlewares around it see it.

    Args:
        scope: The ASGI scope.
        receive: Gives the next event.
        send: Takes an event.
    """

    __slots__ = (
        "__weakref__",
        "_base_url",
        "_cookies",
        "_exit_stack",
        "_headers",
        "_id",
        "_query_params",
        "_url",
        "_wire",
        "ending",
        "error",
        "handshake_status",
        "receive",
        "scope",
        "selected",
        "send",
        "traffic",
    )

    scope: Scope
    """The ASGI scope."""
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
        self.scope = scope
        self.traffic = Traffic()
        self.ending = Ending()
        self.error = None
        self.selected: frozenset[int] = frozenset()
        self.handshake_status = None
        self._wire: Wire | None = None
        self._exit_stack: ExitStack | None = None
        self._id: str | None = None
        self._url: URL | None = None
        self._base_url: URL | None = None
        self._headers: CIMultiDictProxy[str] | None = None
        self._query_params: MultiDictProxy[str] | None = None
        self._cookies: Mapping[str, str] | None = None
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
        if wire.over or wire.lost or wire.evicted:
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
    def exit_stack(self) -> ExitStack:
        """What to run at the end of the connection, last in first out."""
        if self._exit_stack is None:
            self._exit_stack = ExitStack()
        return self._exit_stack

    def on_handshake(self, callback: Callable[[Event], None]) -> None:
        """Have a function called when the handshake is answered.

        It costs nothing per message, unlike a wrapper that waits for the event.

        Args:
            callback: Called once, with the event that the server took: the accept, the close or
                the start of the denial response. `handshake_status` is set by then.
        """
        self.wire.handshake_callbacks.append(callback)

    async def close(self, code: int = 1000, reason: str | None = None, *, by: object) -> None:
        """Close from the middle of the pipeline; may be called from any task.

        The server gets the close directly. From then on the application's receive gives
        `websocket.disconnect` and its send raises `WebSocketDisconnect`, and neither counts as its
        fault. Does nothing where the conversation is over.

        A receive that is waiting at that moment ends when the server reports the end, as ASGI has
        it. Daphne takes only the codes 1000 and 3000 to 4999: there any other becomes 1000, with a
        warning.

        Args:
            code: The close code; before the accept, servers answer 403 instead.
            reason: The reason, cut to the 123 bytes that fit.
            by: Who closes: the middleware itself, or a name.

        Raises:
            ProtocolError: The code may not be sent.
        """
        with move_on_after(CLOSE_TIMEOUT) as scope:
            try:
                await self.wire.close(code, reason or "", by)
            except ProtocolError:
                raise
            except Exception as error:
                # Daphne takes 1000 and 3000 to 4999 only. Whatever the code, it has to end.
                if code == 1000:
                    raise
                _logger.warning("the server refuses close code %s: %s; closing 1000", code, error)
                await self.wire.close(1000, reason or "", by)
        if scope.cancelled_caught:
            _logger.warning("the server took no close within %s seconds", CLOSE_TIMEOUT)

    async def finish(self, error: BaseException | None) -> bool:
        """Run the end of the connection; for whoever runs the application.

        Args:
            error: What ended the application, `None` where it returned.

        Returns:
            Whether an exit callback suppressed the error.
        """
        if error is not None and not self.wire.reports_end(error):
            self.error = error
        if self._exit_stack is None:
            return False
        return await self._exit_stack.unwind(error)

    # The scope, parsed on first use.

    @property
    def url(self) -> URL:
        """The URL that the client asked for."""
        if self._url is None:
            self._url = url_of(self.scope)
        return self._url

    @property
    def base_url(self) -> URL:
        """The URL of the application's root."""
        if self._base_url is None:
            self._base_url = base_url_of(self.scope)
        return self._base_url

    @property
    def headers(self) -> CIMultiDictProxy[str]:
        """The request headers, without regard to case, in their order."""
        if self._headers is None:
            self._headers = headers_of(self.scope)
        return self._headers

    @property
    def query_params(self) -> MultiDictProxy[str]:
        """The query parameters, blank values included, in their order."""
        if self._query_params is None:
            self._query_params = query_params_of(self.scope)
        return self._query_params

    @property
    def cookies(self) -> Mapping[str, str]:
        """The cookies; what is no pair is left out."""
        if self._cookies is None:
            self._cookies = cookies_of(self.headers)
        return self._cookies

    @property
    def client(self) -> Address | None:
        """The client's address, where the server tells."""
        client = self.scope.get("client")
        return Address(*client) if client else None

    @property
    def path_params(self) -> dict[str, Any]:
        """What a router found in the path."""
        return cast("dict[str, Any]", self.scope.get("path_params") or {})

    @property
    def state(self) -> State:
        """The scope's `state`: the lifespan's, and whatever middlewares put there."""
        return State(self.scope.setdefault("state", {}))

    # What frameworks and their middlewares put into the scope.

    @property
    def app(self) -> Any:
        """The framework's application object.

        Raises:
            ImproperlyConfiguredException: Nothing set it.
        """
        return self._from_scope("app", "a framework")

    @property
    def route_handler(self) -> Any:
        """The framework's handler of this route.

        Raises:
            ImproperlyConfiguredException: Nothing set it.
        """
        return self._from_scope("route_handler", "a framework's router")

    @property
    def user(self) -> User:
        """Who is connected.

        Raises:
            ImproperlyConfiguredException: Nothing set it.
        """
        return cast("User", self._from_scope("user", "an authentication middleware"))

    @property
    def auth(self) -> Auth:
        """What the user was authenticated with.

        Raises:
            ImproperlyConfiguredException: Nothing set it.
        """
        return cast("Auth", self._from_scope("auth", "an authentication middleware"))

    @property
    def session(self) -> Any:
        """The session.

        Raises:
            ImproperlyConfiguredException: Nothing set it.
        """
        return self._from_scope("session", "a session middleware")

    def set_session(self, value: Any) -> None:
        """Put a session into the scope.

        Args:
            value: What the session middleware in use takes; commonly a dictionary.
        """
        self.scope["session"] = value

    def clear_session(self) -> None:
        """Empty the session, which session middlewares take as a request to forget it."""
        self.scope["session"] = {}

    @property
    def logger(self) -> FilteringBoundLogger:
        """A structlog logger that carries this connection's id."""
        import structlog  # noqa: PLC0415 - only who logs pays for it

        logger: FilteringBoundLogger = structlog.get_logger("wspipe").bind(connection_id=self.id)
        return logger

    def url_for(self, name: str, /, **path_params: Any) -> str:
        """Give the absolute URL of a named route of the framework's router.

        Args:
            name: The name of the route.
            **path_params: The values for its path.

        Raises:
            ImproperlyConfiguredException: No router is in the scope.
        """
        for key, method in _ROUTERS:
            reverse = getattr(self.scope.get(key), method, None)
            if reverse is not None:
                path = reverse(name, **path_params)
                base = self.base_url
                if getattr(path, "protocol", "") == "http":  # Starlette tells what kind of route
                    base = base.with_scheme(base.scheme.replace("ws", "http"))
                return str(base.origin()) + base.raw_path.rstrip("/") + str(path)
        raise ImproperlyConfiguredException(
            detail=f"cannot make the URL of {name!r}: no router is in the scope, "
            "which a framework such as Starlette or Litestar puts there"
        )

    def _from_scope(self, key: str, setter: str) -> Any:
        try:
            return self.scope[key]
        except KeyError:
            raise ImproperlyConfiguredException(
                detail=f"{key!r} is not in the scope; {setter} sets it"
            ) from None


# Where frameworks keep what makes a path of a route's name: Starlette, then Litestar and Starlite.
_ROUTERS = (("router", "url_path_for"), ("app", "url_path_for"), ("app", "route_reverse"))
