"""The address of a Redis or Valkey server, cluster or group of sentinels, as a URL."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import urlsplit

from wspipe import ImproperlyConfiguredException

Kind: TypeAlias = Literal["server", "cluster", "sentinel"]

_SUFFIXES: Final[dict[str, Kind]] = {"": "server", "+cluster": "cluster", "+sentinel": "sentinel"}
_SCHEMES: Final[dict[str, tuple[str, Kind]]] = {
    f"{brand}{secure}{suffix}": (f"redis{secure}", kind)
    for brand in ("redis", "valkey")
    for secure in ("", "s")
    for suffix, kind in _SUFFIXES.items()
}
_PORTS: Final[dict[Kind, int]] = {"server": 6379, "cluster": 6379, "sentinel": 26379}

# Longer than a message waits: a connection may take more round trips than one.
_SOCKET_TIMEOUT: Final = 1.0


@dataclass(frozen=True, slots=True, repr=False)
class ServerAddress:
    """Where the server is.

    Args:
        kind: Whether it is a server by itself, a cluster, or named by sentinels.
        scheme: `redis`, or `rediss` for TLS.
        hosts: Host and port of the server; of some nodes; of the sentinels.
        credentials: User and password, as in the URL, with the `@`.
        path: The number of the database, or the name of the sentinels' service.
        query: Further options of the client, as in the URL.
    """

    kind: Kind
    scheme: str
    hosts: tuple[tuple[str, int], ...]
    credentials: str
    path: str
    query: str

    @classmethod
    def parse(cls, url: str) -> ServerAddress:
        """Read a URL.

        Raises:
            ImproperlyConfiguredException: It is none of a server, or `redis` is not installed.
        """
        scheme, separator, _ = url.partition("://")
        # What no separator ends may hold a password.
        given = f"store={scheme + separator!r}..." if separator else "store=..."
        if not separator or scheme not in _SCHEMES:
            known = ", ".join(f"{name}://" for name in _SCHEMES)
            raise _refusal(
                given,
                f"has no scheme of a store; it must be like redis://host:6379, with one of {known}",
            )
        plain_scheme, kind = _SCHEMES[scheme]
        addresses: tuple[tuple[str, int], ...] = ()
        user = at = path = query = ""
        # Their errors may quote the password, which a special character has cut off.
        with suppress(ValueError):
            parts = urlsplit(url)
            user, at, hosts = parts.netloc.rpartition("@")
            path, query = parts.path.strip("/"), parts.query
            addresses = tuple(_host_and_port(host, _PORTS[kind]) for host in hosts.split(","))
        if not addresses or "@" in path + query or "#" in url:
            right = f"{scheme}://user:password@host:{_PORTS[kind]}"
            raise _refusal(
                given,
                f"is no URL of a store; it must be like {right}, the port no more than 65535, and "
                "what is special in user and password quoted, such as %2F for a slash",
            )
        _check_path(given, scheme, kind, path, len(addresses))
        if find_spec("redis") is None:
            raise _refusal(given, "needs the package redis: pip install 'wspipe[redis]'")
        address = cls(kind, plain_scheme, addresses, user + at, path, query)
        address._check_options(given)
        return address

    def _check_options(self, given: str) -> None:
        from redis.exceptions import RedisClusterException  # noqa: PLC0415 - an extra

        try:
            # Nothing is connected yet.
            pool = getattr(self.client(), "connection_pool", None)
            if pool is not None:
                pool.make_connection()
        except (TypeError, ValueError, RedisClusterException) as error:
            raise _refusal(given, f"has an option that redis-py refuses: {error}") from None

    def __str__(self) -> str:
        """Read without the password."""
        return ",".join(
            f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.hosts
        )

    __repr__ = __str__

    def client(self) -> Any:
        """Make an asyncio client; it connects at its first command."""
        import redis.asyncio  # noqa: PLC0415 - an extra
        from redis.asyncio.cluster import ClusterNode  # noqa: PLC0415 - likewise
        from redis.asyncio.connection import parse_url  # noqa: PLC0415 - likewise
        from redis.asyncio.retry import Retry  # noqa: PLC0415 - likewise
        from redis.backoff import NoBackoff  # noqa: PLC0415 - likewise
        from redis.exceptions import ConnectionError as Disconnected  # noqa: PLC0415 - likewise

        # The package is typed in part only.
        clients: Any = redis.asyncio
        host, port = self.hosts[0]
        host = f"[{host}]" if ":" in host else host
        database = self.path if self.kind == "server" else ""
        url = f"{self.scheme}://{self.credentials}{host}:{port}/{database}?{self.query}"
        options: dict[str, Any] = {
            "socket_timeout": _SOCKET_TIMEOUT,
            "socket_connect_timeout": _SOCKET_TIMEOUT,
            # A connection that the server has dropped meanwhile is replaced at once.
            "retry": Retry(NoBackoff(), 1, (Disconnected,)),
        }
        if self.kind == "server":
            return clients.Redis.from_url(url, **options)
        options |= parse_url(url)
        options.pop("connection_class", None)
        options["ssl"] = self.scheme == "rediss"
        del options["host"], options["port"]
        if self.kind == "cluster":
            nodes = [ClusterNode(host, port) for host, port in self.hosts]
            return clients.RedisCluster(startup_nodes=nodes, **options)
        sentinel = {
            name.removeprefix("sentinel_"): options.pop(name)
            for name in ("sentinel_username", "sentinel_password")
            if name in options
        }
        names = ("socket_", "ssl", "retry")
        sentinel |= {name: value for name, value in options.items() if name.startswith(names)}
        return clients.Sentinel(self.hosts, sentinel_kwargs=sentinel, **options).master_for(
            self.path
        )


def _host_and_port(text: str, default: int) -> tuple[str, int]:
    parts = urlsplit(f"//{text}")
    if not parts.hostname:
        raise ValueError
    return parts.hostname, parts.port or default


def _check_path(given: str, scheme: str, kind: Kind, path: str, hosts: int) -> None:
    problem = None
    if kind == "server" and hosts > 1:
        problem = (
            f"names several servers; for a cluster use {scheme}+cluster://, "
            f"for sentinels {scheme}+sentinel://"
        )
    elif kind == "server" and path and not (path.isascii() and path.isdecimal()):
        problem = f"ends with what is not the number of a database; use {scheme}://host:6379/0"
    elif kind == "cluster" and path not in {"", "0"}:
        problem = f"names a database, of which a cluster has only one; use {scheme}://host:6379"
    elif kind == "sentinel" and not path:
        problem = f"names no service; use {scheme}://host:26379/service"
    if problem is not None:
        raise _refusal(given, problem)


def _refusal(given: str, problem: str) -> ImproperlyConfiguredException:
    return ImproperlyConfiguredException(detail=f"{given} {problem}")
