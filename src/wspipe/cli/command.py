"""The subcommands and their options."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated, NoReturn

import structlog
import typer
from rich.console import Console
from yarl import URL

from wspipe.cli import logs
from wspipe.cli.demo import app as demo_app
from wspipe.cli.demo import close_all
from wspipe.cli.server import ListenError, Server, listen

app = typer.Typer(
    add_completion=False, pretty_exceptions_enable=False, help="Middleware for ASGI WebSockets."
)


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
        _fail(f"{value!r} is no port; give a number from 1 to 65535, or 0 for any free port")
    return port


def _fail(message: str) -> NoReturn:
    typer.echo(f"wspipe: {message}", err=True)
    raise typer.Exit(2)


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
) -> None:
    """Serve a page that talks to a WebSocket through a pipeline."""
    try:
        listener = listen(host, port)
    except ListenError as error:
        _fail(str(error))
    url = str(URL.build(scheme="http", host=host, port=listener.getsockname()[1]))
    console = Console(highlight=False, soft_wrap=True)
    logs.configure(json=json, colors=console.is_terminal and not console.no_color)
    logger = structlog.get_logger("wspipe")

    def announce() -> None:
        if json:
            logger.info("demo.start", url=url)
        else:
            console.print(f"wspipe demo: open [bold]{url}[/] in two tabs. Ctrl-C stops it.")

    Server(demo_app, started=announce, stopping=close_all).run(sockets=[listener])
    if json:
        logger.info("demo.stop")
    else:
        console.print("wspipe demo: stopped.")
