"""`wspipe run`: an application behind the pipelines of a configuration, on uvicorn."""

from __future__ import annotations

import signal
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import structlog
import typer
from anyio import create_task_group

from wspipe.cli import uvicorn_options as uvicorn
from wspipe.cli.importing import imported
from wspipe.cli.loading import AppDir, load
from wspipe.cli.output import console, fail
from wspipe.cli.reload import SIGHUP, Reloader, log_warnings
from wspipe.cli.server import ListenError, Server, listen
from wspipe.config import ConfiguredMiddleware
from wspipe_middlewares import Drain  # noqa: TID251 - the command line stands on both
from wspipe_middlewares.logging import configure  # noqa: TID251 - likewise

if TYPE_CHECKING:
    import socket

    from wspipe_middlewares.drain import Drained  # noqa: TID251 - likewise


def run(  # noqa: PLR0913 - uvicorn has many options
    app: Annotated[str, typer.Argument(metavar="APP", help="The application, as module:app.")],
    *,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            show_default=False,
            help="The configuration; by default wspipe.toml here, or else pyproject.toml.",
        ),
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Take the configuration anew when its file changes.")
    ] = False,
    drain: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            min=0,
            max=3600,
            help="How long to close open connections on SIGTERM, one after the other.",
        ),
    ] = 10.0,
    json: Annotated[bool, typer.Option("--json", help="Log JSON lines.")] = False,
    factory: Annotated[
        bool, typer.Option("--factory", help="APP is a function that makes the application.")
    ] = False,
    app_dir: AppDir = Path(),
    host: uvicorn.Host = "127.0.0.1",
    port: uvicorn.Port = 8000,
    uds: uvicorn.Uds = None,
    fd: uvicorn.Fd = None,
    ws: uvicorn.Ws = uvicorn.Protocol.AUTO,
    ws_max_size: uvicorn.WsMaxSize = 16 * 1024 * 1024,
    ws_max_queue: uvicorn.WsMaxQueue = 32,
    ws_ping_interval: uvicorn.WsPingInterval = 20.0,
    ws_ping_timeout: uvicorn.WsPingTimeout = 20.0,
    ws_per_message_deflate: uvicorn.WsDeflate = True,
    lifespan: uvicorn.LifespanOption = uvicorn.Lifespan.AUTO,
    root_path: uvicorn.RootPath = "",
    proxy_headers: uvicorn.ProxyHeaders = True,
    forwarded_allow_ips: uvicorn.ForwardedAllowIps = None,
    ssl_keyfile: uvicorn.SslKeyfile = None,
    ssl_keyfile_password: uvicorn.SslKeyfilePassword = None,
    ssl_certfile: uvicorn.SslCertfile = None,
    backlog: uvicorn.Backlog = 2048,
    limit_concurrency: uvicorn.LimitConcurrency = None,
    timeout_keep_alive: uvicorn.TimeoutKeepAlive = 5,
    timeout_graceful_shutdown: uvicorn.TimeoutGracefulShutdown = 5,
    log_level: uvicorn.LogLevel = uvicorn.Verbosity.WARNING,
    access_log: uvicorn.AccessLog = False,
) -> None:
    """Serve an application, as it is, behind the configured pipelines.

    SIGTERM or Ctrl-C drains: no new connections, and those that are open are closed with 1012, at
    moments of their own, between two messages. SIGHUP takes the configuration anew for new
    connections; what is wrong with it is logged, and then the old one stays in force.
    """
    if SIGHUP is not None:
        # Before there is anything to reload, it would end the process.
        signal.signal(SIGHUP, signal.SIG_IGN)
    loaded = load(config, app_dir)
    file = loaded.document.file
    assert file is not None  # noqa: S101 - a command reads no dictionary
    file, taken = file.absolute(), loaded.document.content
    served = ConfiguredMiddleware(
        imported(app, factory=factory), loaded, last=Drain(deadline=drain)
    )
    if not structlog.is_configured():
        terminal = console()
        configure(
            json=json,
            level="debug" if log_level is uvicorn.Verbosity.DEBUG else "info",
            colors=terminal.is_terminal and not terminal.no_color,
        )
    log_warnings(loaded)
    with ExitStack() as stack:
        sockets = None
        if uds is None and fd is None:
            sockets = [_listen(stack, host, port, backlog)]
        log: Any = structlog.get_logger("wspipe")
        server = Server(
            served,
            started=lambda: log.info(
                "run.start",
                app=app,
                config=loaded.document.name,
                address=_address(uds, fd, sockets),
            ),
            stopping=lambda: drain_all(served),
            beside=Reloader(served, file, watch, taken).run,
            uds=str(uds) if uds else None,
            fd=fd,
            ws=ws,
            ws_max_size=ws_max_size,
            ws_max_queue=ws_max_queue,
            ws_ping_interval=ws_ping_interval,
            ws_ping_timeout=ws_ping_timeout,
            ws_per_message_deflate=ws_per_message_deflate,
            lifespan=lifespan,
            root_path=root_path,
            proxy_headers=proxy_headers,
            forwarded_allow_ips=forwarded_allow_ips,
            ssl_keyfile=ssl_keyfile,
            ssl_keyfile_password=ssl_keyfile_password,
            ssl_certfile=ssl_certfile,
            backlog=backlog,
            limit_concurrency=limit_concurrency,
            timeout_keep_alive=timeout_keep_alive,
            timeout_graceful_shutdown=timeout_graceful_shutdown,
            log_level=log_level,
            access_log=access_log,
        )
        _prepare(server)
        server.run(sockets=sockets)
    if not server.started:
        raise typer.Exit(1)  # uvicorn has logged why
    log.info("run.stop")


async def drain_all(served: ConfiguredMiddleware) -> None:
    """Close all connections, each by the `Drain` of its pipeline, and log what became of them.

    Args:
        served: The application.
    """
    drained: list[Drained] = []

    async def drain(stage: Drain) -> None:
        drained.append(await stage.drain())

    async with create_task_group() as tasks:
        for stage in served.middlewares:
            if isinstance(stage, Drain):
                tasks.start_soon(drain, stage)
    logger: Any = structlog.get_logger("wspipe")
    logger.info(
        "drain.done",
        closed=sum(each.closed for each in drained),
        interrupted=sum(each.interrupted for each in drained),
        ended=sum(each.ended for each in drained),
        seconds=round(max(each.seconds for each in drained), 3),
    )


def _listen(stack: ExitStack, host: str, port: int, backlog: int) -> socket.socket:
    try:
        return stack.enter_context(listen(host, port, backlog))
    except ListenError as error:
        fail(str(error))


def _prepare(server: Server) -> None:
    config = server.config
    if config.ssl_keyfile and not config.ssl_certfile:
        fail("--ssl-keyfile needs --ssl-certfile")
    try:
        config.load()
    except ModuleNotFoundError as error:
        fail(f"{error.name} is not installed; --ws {config.ws} needs it")
    except OSError as error:  # those of TLS are such
        fail(f"TLS cannot be had with {config.ssl_certfile}: {error.strerror or error}")


def _address(uds: Path | None, fd: int | None, sockets: list[socket.socket] | None) -> str:
    if sockets is None:
        return f"unix:{uds}" if uds else f"file descriptor {fd}"
    host, port, *_ = sockets[0].getsockname()
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
