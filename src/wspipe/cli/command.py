"""The subcommands and their options."""

from __future__ import annotations

from contextlib import ExitStack
from importlib.metadata import version
from typing import TYPE_CHECKING, Annotated

import structlog
import typer
from rich.console import Console
from yarl import URL

from wspipe.cli.check import check
from wspipe.cli.demo import app as demo_app
from wspipe.cli.demo import close_all
from wspipe.cli.explain import explain
from wspipe.cli.listing import middlewares
from wspipe.cli.output import fail
from wspipe.cli.run import run
from wspipe.cli.schema import schema
from wspipe.cli.server import ListenError, Server, listen
from wspipe.cli.show import show
from wspipe_middlewares.logging import configure  # noqa: TID251 - the command line stands on both

if TYPE_CHECKING:
    from wspipe import ASGIApp

app: typer.Typer = typer.Typer(
    pretty_exceptions_enable=False, help="Middleware for ASGI WebSockets."
)
app.command()(check)
app.command()(show)
app.command()(explain)
app.command()(schema)
app.command()(middlewares)
app.command()(run)


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - typer calls it by position
    if wanted:
        typer.echo(f"wspipe {version('wspipe')}")
        raise typer.Exit


def _port_number(value: str) -> int:
    try:
        port = int(value)
    except ValueError:
        port = -1
    if not 0 <= port <= 65535:
        fail(f"{value!r} is no port; give a number from 1 to 65535, or 0 for any free port")
    return port


def _collector_url(value: str) -> URL:
    try:
        url = URL(value)
    except ValueError:
        url = URL()
    if url.scheme not in {"http", "https"} or not url.host:
        fail(f"{value!r} is no URL of a collector; give one such as http://127.0.0.1:4318")
    return url


@app.callback(invoke_without_command=True)
def wspipe(
    context: typer.Context,
    *,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Run a subcommand; without one, print the help."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command()
def demo(
    *,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(parser=_port_number, metavar="PORT", help="The port; 0 takes a free one.")
    ] = 8000,
    json: Annotated[bool, typer.Option("--json", help="Log JSON lines.")] = False,
    prometheus: Annotated[
        bool, typer.Option("--prometheus", help="Serve metrics for Prometheus at /metrics.")
    ] = False,
    otlp: Annotated[
        URL | None,
        typer.Option(
            parser=_collector_url,
            metavar="URL",
            help="Send traces, metrics and logs to this collector, by OTLP over HTTP.",
        ),
    ] = None,
) -> None:
    """Serve a page that talks to a WebSocket through a pipeline."""
    with ExitStack() as stack:
        try:
            listener = stack.enter_context(listen(host, port))
        except ListenError as error:
            fail(str(error))
        served = _export(demo_app, stack, prometheus=prometheus, collector=otlp)
        url = str(URL.build(scheme="http", host=host, port=listener.getsockname()[1]))
        console = Console(highlight=False, soft_wrap=True)
        colors = console.is_terminal and not console.no_color
        configure(json=json, colors=colors, export=otlp is not None)
        logger = structlog.get_logger("wspipe")

        def announce() -> None:
            metrics = {"metrics": f"{url}/metrics"} if prometheus else {}
            if json:
                logger.info("demo.start", url=url, **metrics)
                return
            console.print(f"wspipe demo: open [bold]{url}[/] in two tabs. Ctrl-C stops it.")
            for address in metrics.values():
                console.print(f"wspipe demo: Prometheus finds metrics at {address}")

        Server(
            served,
            started=announce,
            stopping=close_all,
            access_log=False,
            log_level="warning",
            timeout_graceful_shutdown=2,
            ws_max_size=64 * 1024,
        ).run(sockets=[listener])
        if json:
            logger.info("demo.stop")
    if not json:
        console.print("wspipe demo: stopped.")


def _export(
    application: ASGIApp, stack: ExitStack, *, prometheus: bool, collector: URL | None
) -> ASGIApp:
    if not prometheus and collector is None:
        return application
    try:
        from wspipe.cli.telemetry import Telemetry, with_metrics  # noqa: PLC0415 - has more needs
    except ModuleNotFoundError as error:
        fail(
            f"{error.name} is not installed; "
            "--prometheus and --otlp need pip install 'wspipe[cli,otel]'"
        )
    stack.callback(Telemetry(prometheus=prometheus, collector=collector).close)
    return with_metrics(application) if prometheus else application
