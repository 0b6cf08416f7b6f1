"""`ConnectionLimit`: how many connections may be open, in all, per client and per user."""

from __future__ import annotations

from collections import deque
from dataclasses import KW_ONLY, dataclass, field, replace
from sys import maxsize
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from wspipe import ASGIConnection, Composable, ConnectionRejected, Receive, Send
from wspipe_middlewares.client import Proxies, client_key
from wspipe_middlewares.options import check_choice, check_count, refusal
from wspipe_middlewares.user import user_identity

if TYPE_CHECKING:
    from collections.abc import Callable

_Held: TypeAlias = "list[tuple[dict[str, int], str]]"
"""Where a connection is counted, and by which key."""

_ALL: Final = ""


@dataclass(frozen=True, slots=True)
class ConnectionLimit(Composable):
    """Limit how many connections are open at a time, in this process.

    A connection takes its slots before the application sees it, all or none, and gives them back
    when it has ended, in whatever way. What cannot have one is denied: with 503 where the server
    is full (RFC 9110 section 15.6.4), with 429 where the client or the user has its share (RFC 6585
    section 4), both with `retry-after`. Without the denial response extension it is a plain
    rejection, to clients a 403, with code 1013 or 1008.

    The limits are those of one object: pipelines that have the same one share its slots, and a
    connection that comes by it twice takes two. Other processes count by themselves.

    # Order

    Put it after the observers and `OriginCheck`, before all that costs something for a connection.
    For `per_user`, the authentication has to be around the whole pipeline.

    Args:
        total: Connections in all.
        per_client: Connections from one address; those without one, on a Unix domain socket, count
            together.
        per_user: Connections of one user, in `scope["user"]`. Where nobody is logged in, the other
            limits hold.
        retry_after: Seconds after which a client is told to try again (RFC 9110 section 10.2.3).
        proxies: Addresses and networks of proxies that are believed about the client's address;
            `unix` for one that connects by a Unix domain socket.
        proxy_header: Where they tell it: `x-forwarded-for` or `forwarded` (RFC 7239). They must
            set it themselves, or else a client can.
        ipv6_prefix: How many bits of an IPv6 address tell one client from another.

    Raises:
        ImproperlyConfiguredException: An option makes no sense, or there is no limit.
    """

    total: int | None = None
    _: KW_ONLY
    per_client: int | None = None
    per_user: int | None = None
    retry_after: int = 10
    proxies: tuple[str, ...] = ()
    proxy_header: Literal["x-forwarded-for", "forwarded"] = "x-forwarded-for"
    ipv6_prefix: int = 64
    _slots: _Slots = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse what could not work; make what connections share."""
        limits: dict[str, Any] = {
            each: getattr(self, each) for each in ("total", "per_client", "per_user")
        }
        for option, limit in limits.items():
            if limit is not None:
                check_count(option, limit)
        if not any(limits.values()):
            right = "a number of connections where neither per_client nor per_user is given"
            raise refusal("total", None, right)
        check_count("retry_after", self.retry_after)
        check_choice("proxy_header", self.proxy_header, ("x-forwarded-for", "forwarded"))
        check_count("ipv6_prefix", self.ipv6_prefix, most=128)
        object.__setattr__(self, "_slots", _Slots(_groups_of(self)))

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        """Wrap nothing: a connection is counted once."""
        return receive, send

    async def admit(self, connection: ASGIConnection) -> None:
        """Take the connection's slots.

        Raises:
            ConnectionRejected: There is none for it: status 503 or 429, with `retry-after`.
            ImproperlyConfiguredException: `per_user` is given, and nothing tells who the user is.
        """
        full = self._slots.take(connection)
        if full is not None:
            headers = {
                "content-type": "text/plain; charset=utf-8",
                "retry-after": str(self.retry_after),
            }
            raise ConnectionRejected(full.status, headers, f"{full.why}\n", full.code, full.why)

    @property
    def open(self) -> int:
        """How many connections have slots at this moment."""
        return self._slots.open

    def rehearsal(self) -> ConnectionLimit:
        """Give a copy to be measured, with slots of its own and enough of them.

        It counts by the client where it would count by a user, whom nothing may have logged in.
        """
        counted = self.per_client is not None or self.per_user is not None
        most = maxsize if counted else None
        return replace(self, total=maxsize, per_client=most, per_user=None)


@dataclass(frozen=True, slots=True)
class _Group:
    """One of the limits: how many connections each key may have, and how many it has."""

    most: int
    key_of: Callable[[ASGIConnection], str | None]
    status: int
    code: int
    why: str
    taken: dict[str, int] = field(default_factory=dict[str, int])


def _groups_of(config: ConnectionLimit) -> list[_Group]:
    """Give the limits; the first counts all connections, whether it limits them or not."""
    proxies, prefix = Proxies.of(config.proxies, config.proxy_header), config.ipv6_prefix

    def client(connection: ASGIConnection) -> str:
        return client_key(connection.scope, proxies, prefix)

    def user(connection: ASGIConnection) -> str | None:
        return user_identity(
            connection.scope, "ConnectionLimit(per_user=...)", "leave per_user out"
        )

    most = maxsize if config.total is None else config.total
    # 1013, try again later: IANA WebSocket Close Code Number Registry.
    groups = [_Group(most, lambda _: _ALL, 503, 1013, "too many connections")]
    if config.per_client is not None:
        why = "too many connections from one address"
        groups.append(_Group(config.per_client, client, 429, 1008, why))
    if config.per_user is not None:
        why = "too many connections of one user"
        groups.append(_Group(config.per_user, user, 429, 1008, why))
    return groups


class _Slots:
    """What the connections share."""

    def __init__(self, groups: list[_Group]) -> None:
        self.groups = groups
        self.lost: deque[_Held] = deque()

    @property
    def open(self) -> int:
        self.recover()
        return self.groups[0].taken.get(_ALL, 0)

    def take(self, connection: ASGIConnection) -> _Group | None:
        """Take a slot for each limit; or none, and give the one that is reached."""
        self.recover()
        held: _Held = []
        for group in self.groups:
            key = group.key_of(connection)
            if key is not None:
                if group.taken.get(key, 0) >= group.most:
                    return group
                held.append((group.taken, key))
        connection.exit_stack.callback(_Seat(held, self.lost).leave)
        return None

    def recover(self) -> None:
        """Give back what is lost."""
        while self.lost:
            _give_back(self.lost.popleft())


class _Seat:
    """The slots of one connection, until it leaves.

    A `WebSocket` that neither wspipe nor `async with` runs has no end where its handler raises:
    the seat goes with it. The garbage collector may find it in the middle of counting, so what it
    held is only put aside.
    """

    __slots__ = ("_held", "_lost")

    def __init__(self, held: _Held, lost: deque[_Held]) -> None:
        self._held, self._lost = held, lost
        for taken, key in held:
            taken[key] = taken.get(key, 0) + 1

    def leave(self) -> None:
        """Give the slots back."""
        held, self._held = self._held, []
        _give_back(held)

    def __del__(self) -> None:
        if self._held:
            self._lost.append(self._held)


def _give_back(held: _Held) -> None:
    for taken, key in held:
        taken[key] -= 1
        if not taken[key]:
            del taken[key]
