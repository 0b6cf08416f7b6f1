"""What `wspipe run` says where it cannot start: no traceback, and an exit code that is not 0."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from tests.servers.run.conftest import SERVED

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.servers.run.conftest import Running

pytestmark = pytest.mark.asyncio


async def test_an_application_that_raises(launch: Callable[..., Running], tmp_path: Path) -> None:
    (tmp_path / "raising.py").write_text("\nraise ValueError('no\\nsettings')\n")
    server = launch("raising:app", "--app-dir", ".")
    assert await server.ended() == 2
    assert server.errors == (
        "wspipe: raising:app cannot be had: ValueError: no settings "
        f"(at {tmp_path / 'raising.py'}:2)\n"
    )
    assert server.output == ""


async def test_an_application_that_is_not_there(launch: Callable[..., Running]) -> None:
    server = launch("absent:app")
    assert await server.ended() == 2
    looked = f"It was looked for in {SERVED} first, which --app-dir sets."
    assert server.errors == f'wspipe: Could not import module "absent". {looked}\n'


async def test_no_configuration(launch: Callable[..., Running], tmp_path: Path) -> None:
    server = launch("plain:app", config=None)
    assert await server.ended() == 2
    assert server.errors == (
        f"{tmp_path}: error: there is no wspipe.toml here, and no pyproject.toml with a table "
        "[tool.wspipe]; name the file\n"
    )


async def test_an_invalid_configuration(launch: Callable[..., Running]) -> None:
    config = (
        '[pipelines.main]\nmiddlewares = ["Logging", { use = "RateLimit", rate = 3, brust = 5 }]\n'
    )
    server = launch("plain:app", config=config)
    assert await server.ended() == 1
    first, second = server.errors.splitlines()
    stage = "error: pipelines.main.middlewares[1]"
    assert first == f"wspipe.toml:2:48: {stage}.rate: must be a text, not 3"
    assert second.startswith(
        f'wspipe.toml:2:58: {stage}.brust: RateLimit has no option "brust"; did you mean "burst"?'
    )


async def test_a_port_in_use(launch: Callable[..., Running]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = launch("plain:app", "--port", port)
        assert await server.ended() == 2
    assert server.errors == (
        f"wspipe: cannot listen on 127.0.0.1 port {port}: address already in use; "
        "choose another --port or --host\n"
    )


async def test_an_unknown_option(launch: Callable[..., Running]) -> None:
    server = launch("plain:app", "--drian", 3)
    assert await server.ended() == 2
    assert "No such option: --drian" in server.errors
    assert "Traceback" not in server.errors


async def test_a_lifespan_that_fails(launch: Callable[..., Running]) -> None:
    server = launch("plain:failing")
    assert await server.ended() == 1
    told = [server.lines(each) for each in ("lifespan: no database", "run.start", "run.stop")]
    assert [len(lines) for lines in told] == [1, 0, 0]
    assert server.lines("Application startup failed. Exiting.")
    assert server.errors == ""
