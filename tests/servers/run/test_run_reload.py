"""`wspipe run` takes its configuration anew under load, and loses nothing."""

from __future__ import annotations

import asyncio
import shutil
import signal
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from websockets.exceptions import ConnectionClosed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from websockets.asyncio.client import ClientConnection

    from tests.servers.run.conftest import Running

pytestmark = pytest.mark.asyncio

CONNECTIONS = 100


def marked(mark: str, *more: str) -> str:
    """Give a configuration whose pipeline leaves a mark on each message."""
    stages = [f'{{ use = "marks:Mark", mark = "{mark}" }}', *more]
    return f"[pipelines.main]\nmiddlewares = [{', '.join(stages)}]\n"


def write(folder: Path, text: str) -> None:
    """Write into the file."""
    (folder / "wspipe.toml").write_text(text)


def replace(folder: Path, text: str) -> None:
    """Put another file in its place, as editors do."""
    (folder / "wspipe.toml.new").write_text(text)
    (folder / "wspipe.toml.new").replace(folder / "wspipe.toml")


def turn_mount(folder: Path, text: str) -> None:
    """Turn the link to the folder of the file, as Kubernetes does in a mounted ConfigMap."""
    _turn(folder / "..data", text)
    if not (folder / "wspipe.toml").is_symlink():
        (folder / "wspipe.toml").symlink_to("..data/wspipe.toml")


def turn_release(folder: Path, text: str) -> None:
    """Turn a link on the way to the file, as deployments do."""
    _turn(folder / "current", text)


def _turn(link: Path, text: str) -> None:
    old = link.resolve() if link.exists() else None
    new = link.with_name(f"{link.name}-{uuid4().hex}")
    new.mkdir()
    (new / "wspipe.toml").write_text(text)
    link.with_name("new").symlink_to(new.name)
    link.with_name("new").replace(link)
    if old is not None:
        shutil.rmtree(old)


def write_and_hang_up(folder: Path, text: str) -> None:
    """Write into the file; without --watch, a signal is needed."""
    write(folder, text)


CHANGES: dict[Callable[[Path, str], None], list[str]] = {
    write: ["--watch"],
    replace: ["--watch"],
    turn_mount: ["--watch"],
    turn_release: ["--watch", "--config", "current/wspipe.toml"],
    write_and_hang_up: [],
}


class Load:
    """Connections that send and check the answers without end."""

    def __init__(self) -> None:
        self.over = False
        self.rounds = 0

    async def talk(self, clients: Iterable[ClientConnection], mark: str) -> None:
        """Have each client send, wait for its answer, and so on."""
        async with asyncio.TaskGroup() as tasks:
            for client in clients:
                tasks.create_task(self._talk(client, mark))

    async def goes_on(self) -> None:
        """Wait until as many answers came as there are clients, and as many again."""
        seen = self.rounds
        while self.rounds < seen + 2 * CONNECTIONS:  # noqa: ASYNC110 - each answer is an event
            await asyncio.sleep(0)

    async def _talk(self, client: ClientConnection, mark: str) -> None:
        number = 0
        while not self.over:
            await client.send(str(number))
            assert await client.recv() == f"{mark} {number}"
            number += 1
            self.rounds += 1


async def mark_of_new(server: Running) -> str:
    """Tell which mark a new connection gets."""
    async with server.connect("/new") as client:
        await client.send("")
        return str(await client.recv()).strip()


@pytest.mark.parametrize("change", CHANGES)
async def test_a_change_reaches_new_connections_and_disturbs_no_other(
    change: Callable[[Path, str], None], run: Callable[..., Running], tmp_path: Path
) -> None:
    change(tmp_path, marked("one"))
    server = run("plain:app", *CHANGES[change], config=None)

    def changed(text: str) -> None:
        change(tmp_path, text)
        if change is write_and_hang_up:
            server.process.send_signal(signal.SIGHUP)

    load = Load()
    async with asyncio.timeout(60), AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
        clients = [
            await stack.enter_async_context(server.connect(f"/{number}"))
            for number in range(CONNECTIONS)
        ]
        tasks.create_task(load.talk(clients, "one"))
        await load.goes_on()
        changed(marked("two"))
        [applied] = await server.logged("config.applied")
        assert (applied["pipelines"], applied["routes"]) == (1, 0)
        assert await mark_of_new(server) == "two"

        changed(marked("three", '"Loging"'))
        [refused] = await server.logged("config.refused")
        assert (refused["problems"], refused["in_force"]) == (1, "the old one")
        [problem] = server.lines("config.problem")
        assert problem["problem"].endswith(
            "wspipe.toml:2:56: pipelines.main.middlewares[1]: no installed package has "
            'a middleware "Loging"; did you mean "Logging"? there are "AuthDeadline", '
            '"ConnectionLimit", "Drain", "Logging", "MessageSizeLimit", "Metrics", "OriginCheck", '
            '"RateLimit", "Recovery", "SendQueue", "StateValidation", "Timeouts" and "Tracing"'
        )
        assert await mark_of_new(server) == "two"

        changed(marked("three"))
        await server.logged("config.applied", 2)
        assert await mark_of_new(server) == "three"
        await load.goes_on()
        load.over = True
    assert {client.close_code for client in clients} == {1000}
    assert await server.stop() == 0
    assert server.errors == ""


async def spend(server: Running, messages: int) -> int:
    """Send messages; give how many passed before the limit."""
    async with server.connect("/spend") as client:
        for passed in range(messages):
            await client.send(str(passed))
            try:
                await client.recv()
            except ConnectionClosed:
                assert client.close_code == 1008
                return passed
    return messages


async def hang_up(server: Running, text: str, **number: Any) -> None:
    write(server.folder, text)
    server.process.send_signal(signal.SIGHUP)
    await server.logged("config.applied", **number)


async def test_a_limit_that_did_not_change_keeps_what_it_counted(
    run: Callable[..., Running],
) -> None:
    limit = '{ use = "RateLimit", rate = "3/hour", on_limit = "close" }'
    server = run("plain:app", config=marked("one", limit))
    assert await spend(server, 3) == 3
    await hang_up(server, marked("two", limit))
    assert await spend(server, 3) == 0
    await hang_up(server, marked("two", limit.replace("3/hour", "4/hour")), number=2)
    assert await spend(server, 4) == 4


async def test_whatever_a_middleware_does_wrong_the_server_goes_on(
    run: Callable[..., Running],
) -> None:
    server = run("plain:app", config=marked("one"))
    write(server.folder, marked("two").replace("marks:Mark", "marks:Broken"))
    server.process.send_signal(signal.SIGHUP)
    [refused] = await server.logged("config.refused")
    assert refused["error"] == "RuntimeError: broken"
    assert await mark_of_new(server) == "one"
    await hang_up(server, marked("two"))
    assert await mark_of_new(server) == "two"
