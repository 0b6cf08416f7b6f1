"""The main options of uvicorn, as options of a command."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer


class Protocol(StrEnum):
    """uvicorn's implementations of the WebSocket protocol."""

    AUTO = "auto"
    WEBSOCKETS = "websockets"
    WEBSOCKETS_SANSIO = "websockets-sansio"
    WSPROTO = "wsproto"


class Lifespan(StrEnum):
    """Whether the application has a lifespan."""

    AUTO = "auto"
    ON = "on"
    OFF = "off"


class Verbosity(StrEnum):
    """From which level on uvicorn logs."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def _option(text: str, **details: Any) -> Any:
    return typer.Option(help=text, rich_help_panel="Options of uvicorn", **details)


_FILE: dict[str, Any] = {"exists": True, "dir_okay": False, "metavar": "FILE"}

Host: TypeAlias = Annotated[str, _option("The address to listen on.")]
Port: TypeAlias = Annotated[int, _option("The port; 0 takes a free one.", min=0, max=65535)]
Uds: TypeAlias = Annotated[
    Path | None, _option("Listen on this Unix domain socket instead.", metavar="PATH")
]
Fd: TypeAlias = Annotated[
    int | None, _option("Listen on the socket with this file descriptor instead.", min=0)
]
Ws: TypeAlias = Annotated[Protocol, _option("The implementation of the WebSocket protocol.")]
WsMaxSize: TypeAlias = Annotated[int, _option("The largest message, in bytes.", min=1)]
WsMaxQueue: TypeAlias = Annotated[int, _option("How many messages may wait.", min=1)]
WsPingInterval: TypeAlias = Annotated[float, _option("Seconds between two pings.", min=0)]
WsPingTimeout: TypeAlias = Annotated[
    float, _option("Seconds that a pong may take before the connection is closed.", min=0)
]
WsDeflate: TypeAlias = Annotated[
    bool, _option("Compress messages (RFC 7692), where the client can.")
]
LifespanOption: TypeAlias = Annotated[Lifespan, _option("Whether the application has a lifespan.")]
RootPath: TypeAlias = Annotated[str, _option("The path at which a proxy has the application.")]
ProxyHeaders: TypeAlias = Annotated[
    bool, _option("Believe trusted proxies about the client's address and scheme.")
]
ForwardedAllowIps: TypeAlias = Annotated[
    str | None, _option("The proxies to trust, with commas between; * for all.", metavar="LIST")
]
SslKeyfile: TypeAlias = Annotated[Path | None, _option("The private key, for TLS.", **_FILE)]
SslKeyfilePassword: TypeAlias = Annotated[
    str | None, _option("Its password.", envvar="WSPIPE_SSL_KEYFILE_PASSWORD")
]
SslCertfile: TypeAlias = Annotated[Path | None, _option("The certificate, for TLS.", **_FILE)]
Backlog: TypeAlias = Annotated[int, _option("How many connections may wait.", min=1)]
LimitConcurrency: TypeAlias = Annotated[
    int | None,
    _option("How many connections and tasks there may be; HTTP requests beyond get 503.", min=1),
]
TimeoutKeepAlive: TypeAlias = Annotated[
    int, _option("Seconds to keep an idle HTTP connection.", min=0)
]
TimeoutGracefulShutdown: TypeAlias = Annotated[
    int, _option("Seconds that the application may take to end, after the drain.", min=0)
]
LogLevel: TypeAlias = Annotated[
    Verbosity,
    _option("From which level on uvicorn logs; with debug, Logging(messages=True) tells too."),
]
AccessLog: TypeAlias = Annotated[bool, _option("Log each HTTP request.")]
