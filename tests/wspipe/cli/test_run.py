"""`wspipe run` in this process, so that its coverage counts; more is in `tests/servers/run`."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from structlog.testing import LogCapture
from typer.testing import CliRunner
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect, unix_connect

from wspipe.cli import command, reload, run
from wspipe.cli.importing import imported

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from click.testing import Result
    from websockets.sync.connection import Connection

TIMEOUT = 20.0
NOWHERE = ("--fd", "9999")  # what is not refused ends all the same
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
MODULE = """
async def app(scope, receive, send):
    event = await receive()
    if scope["type"] == "lifespan":
        while event["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
            event = await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    await send({"type": "websocket.accept"})
    while (await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": ""})

async def failing(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no database"})

def make():
    return app

def make_make():
    return make

def make_text():
    return a_text

def fail():
    raise RuntimeError("no such\\ndatabase")

a_text = "a text"
compiled = max
"""
# Marks messages, and fails when it is looked at where its mark says so.
STAGES = """
from dataclasses import dataclass
from wspipe import Composable

@dataclass(frozen=True)
class Mark(Composable):
    mark: str

    @property
    def owns_resources(self):
        if self.mark == "broken":
            raise RuntimeError("broken")
        return False

    def __call__(self, connection, receive, send):
        async def marked(event):
            await send({**event, "text": self.mark} if "text" in event else event)
        return receive, marked
"""


def marked(mark: str) -> str:
    """Give a configuration whose pipeline answers with a mark."""
    stage = f'{{ use = "stages_to_run:Mark", mark = "{mark}" }}'
    return f'[pipelines.main]\nmiddlewares = ["Logging", {stage}]\n'


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Be in a folder with an application and a configuration."""
    (tmp_path / "app_to_run.py").write_text(MODULE)
    (tmp_path / "stages_to_run.py").write_text(STAGES)
    (tmp_path / "wspipe.toml").write_text(marked("one"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    # Whatever fails, a signal that comes too late shall not end the tests.
    signals = {number: signal.signal(number, lambda *_: None) for number in SIGNALS}
    yield
    for number, handler in signals.items():
        signal.signal(number, handler)
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)
    for name in ("app_to_run", "stages_to_run"):
        sys.modules.pop(name, None)


@pytest.fixture
def log() -> list[Any]:
    """Give what is logged, as it comes."""
    capture = LogCapture()
    structlog.configure(processors=[capture])
    return capture.entries


def invoke(*options: object) -> Result:
    return CliRunner().invoke(command.app, ["run", "--port", "0", *map(str, options)])


def wait_for(log: list[Any], event: str, number: int = 1) -> Any:
    """Wait until an event was logged so many times, and give the last."""
    deadline = time.monotonic() + TIMEOUT
    while len(found := [each for each in log if each["event"] == event]) < number:
        assert time.monotonic() < deadline, log
        time.sleep(0.01)
    return found[-1]


def serve(visit: Callable[[], Iterator[None]], *options: object, app: str = "app") -> Result:
    """Run the command here, and in a thread a visit, which yields when it is to be stopped."""

    def visit_and_stop() -> None:
        try:
            with contextmanager(visit)():
                os.kill(os.getpid(), signal.SIGTERM)
        except BaseException:
            os.kill(os.getpid(), signal.SIGTERM)
            raise

    with ThreadPoolExecutor() as threads:
        visiting = threads.submit(visit_and_stop)
        result = invoke(f"app_to_run:{app}", *options)
        visiting.result(TIMEOUT)
    return result


def told_by(client: Connection) -> str:
    client.send("")
    return str(client.recv(TIMEOUT))


def new_mark(log: list[Any]) -> str:
    address = wait_for(log, "run.start")["address"]
    with connect(f"ws://{address}") as client:
        return told_by(client)


def close_of(client: Connection) -> tuple[int, str]:
    with pytest.raises(ConnectionClosed) as closed:
        client.recv(TIMEOUT)
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code, closed.value.rcvd.reason


def test_it_serves_until_it_is_stopped(log: list[Any]) -> None:
    def visit() -> Iterator[None]:
        with connect(f"ws://{wait_for(log, 'run.start')['address']}") as client:
            assert told_by(client) == "one"
            yield
            assert close_of(client) == (1012, "service restart")

    result = serve(visit)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")
    start, opened, closed, drained, stop = log
    assert (start["app"], start["config"]) == ("app_to_run:app", "wspipe.toml")
    assert (opened["event"], closed["event"]) == ("websocket.open", "websocket.close")
    assert (drained["closed"], drained["interrupted"], drained["ended"]) == (1, 0, 0)
    assert stop["event"] == "run.stop"


def test_a_second_signal_stops_at_once(log: list[Any], tmp_path: Path) -> None:
    slow = '{ use = "Drain", deadline = 3600, spacing = 3600 }'
    (tmp_path / "wspipe.toml").write_text(f"[pipelines.main]\nmiddlewares = [{slow}]\n")

    def visit() -> Iterator[None]:
        url = f"ws://{wait_for(log, 'run.start')['address']}"
        with connect(url) as first, connect(url) as second:
            yield
            assert close_of(first) == (1012, "service restart")
            os.kill(os.getpid(), signal.SIGTERM)
            assert close_of(second)[0] == 1012

    assert serve(visit).exit_code == 0
    assert [each["event"] for each in log] == ["run.start", "run.stop"]


def test_it_reloads_on_a_signal(log: list[Any], tmp_path: Path) -> None:
    file = tmp_path / "wspipe.toml"

    def change(mark: str) -> None:
        file.write_text(marked(mark))
        os.kill(os.getpid(), signal.SIGHUP)

    def visit() -> Iterator[None]:
        assert new_mark(log) == "one"
        change("two")
        applied = wait_for(log, "config.applied")
        assert (applied["pipelines"], applied["routes"]) == (1, 0)
        assert new_mark(log) == "two"

        file.unlink()
        os.kill(os.getpid(), signal.SIGHUP)
        refused = wait_for(log, "config.refused")
        assert (refused["problems"], refused["in_force"]) == (1, "the old one")
        problem = wait_for(log, "config.problem")["problem"]
        assert problem == f"{file}: cannot be read: no such file or directory"
        assert new_mark(log) == "two"

        change("broken")
        assert wait_for(log, "config.refused", 2)["error"] == "RuntimeError: broken"
        assert new_mark(log) == "two"
        yield

    assert serve(visit).exit_code == 0


def test_it_takes_a_file_that_changes_while_the_application_is_imported(
    log: list[Any], tmp_path: Path
) -> None:
    (tmp_path / "wspipe.toml.next").write_text(marked("two"))
    module = tmp_path / "app_to_run.py"
    module.write_text(f"import os; os.replace('wspipe.toml.next', 'wspipe.toml')\n{MODULE}")

    def visit() -> Iterator[None]:
        wait_for(log, "config.applied")
        assert new_mark(log) == "two"
        yield

    assert serve(visit).exit_code == 0


def test_it_runs_where_there_is_no_such_signal(
    log: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reload, "SIGHUP", None)
    monkeypatch.setattr(run, "SIGHUP", None)

    def visit() -> Iterator[None]:
        assert new_mark(log) == "one"
        yield

    assert serve(visit).exit_code == 0


def test_it_logs_what_is_probably_not_meant(log: list[Any], tmp_path: Path) -> None:
    file = tmp_path / "wspipe.toml"
    file.write_text(f"{marked('one')}[pipelines.other]\n")

    def visit() -> Iterator[None]:
        assert "there is no default" in wait_for(log, "config.warning")["problem"]
        address = wait_for(log, "run.start")["address"]
        with connect(f"ws://{address}"):
            pass  # by then it listens to signals too
        os.kill(os.getpid(), signal.SIGHUP)
        wait_for(log, "config.applied")
        wait_for(log, "config.warning", 2)
        yield

    assert serve(visit).exit_code == 0


def test_it_reloads_when_the_file_changes(log: list[Any], tmp_path: Path) -> None:
    def visit() -> Iterator[None]:
        assert new_mark(log) == "one"
        (tmp_path / "wspipe.toml").write_text(marked("two"))
        wait_for(log, "config.applied")
        assert new_mark(log) == "two"
        yield

    assert serve(visit, "--watch").exit_code == 0


@contextmanager
def unix_client(path: Path) -> Iterator[Connection]:
    """Connect as soon as the server listens."""
    deadline = time.monotonic() + TIMEOUT
    while True:
        try:
            client = unix_connect(str(path), "ws://server")
            break
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    with client:
        yield client


def test_json_lines_are_logged_where_nobody_set_logging_up(tmp_path: Path) -> None:
    def visit() -> Iterator[None]:
        with unix_client(tmp_path / "socket") as client:
            assert told_by(client) == "one"
        yield

    result = serve(visit, "--json", "--uds", "socket")
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert lines[0]["address"] == "unix:socket"
    assert [line["event"] for line in lines][1:3] == ["websocket.open", "websocket.close"]
    assert lines[-1]["event"] == "run.stop"


@pytest.mark.parametrize(("level", "times"), [("debug", 1), ("info", 0)])
def test_messages_are_logged_at_the_level_debug(tmp_path: Path, level: str, times: int) -> None:
    (tmp_path / "wspipe.toml").write_text(
        '[pipelines.base]\nmiddlewares = [{ use = "Logging", messages = true }]\n'
    )

    def visit() -> Iterator[None]:
        with unix_client(tmp_path / "socket") as client:
            client.send("hello")
            client.recv(TIMEOUT)
        yield

    result = serve(visit, "--json", "--uds", "socket", "--log-level", level)
    events = [json.loads(line)["event"] for line in result.stdout.splitlines()]
    assert events.count("websocket.receive") == times


def test_it_serves_on_a_file_descriptor(log: list[Any]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def visit() -> Iterator[None]:
            wait_for(log, "run.start")
            with connect(f"ws://127.0.0.1:{port}") as client:
                assert told_by(client) == "one"
            yield

        number = listener.fileno()
        assert serve(visit, "--fd", number).exit_code == 0
    assert log[0]["address"] == f"file descriptor {number}"


@pytest.mark.parametrize(
    ("options", "where"),
    [
        (["--uds", "no/folder"], "no/folder: no such file or directory"),
        (["--uds", "wspipe.toml"], "wspipe.toml: address already in use"),
        (["--fd", "9999"], "file descriptor 9999: bad file descriptor"),
    ],
)
def test_where_it_cannot_listen_is_logged(
    options: list[str], where: str, log: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    assert invoke("app_to_run:app", *options).exit_code == 1
    assert caplog.messages == [f"cannot listen on {where}"]
    assert log == []


def test_a_failed_startup_is_logged(log: list[Any], caplog: pytest.LogCaptureFixture) -> None:
    assert invoke("app_to_run:failing").exit_code == 1
    assert caplog.messages == ["no database", "Application startup failed. Exiting."]
    assert log == []


def test_a_port_in_use_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = invoke("app_to_run:app", "--port", port)
    assert result.exit_code == 2
    assert result.stderr == (
        f"wspipe: cannot listen on 127.0.0.1 port {port}: address already in use; "
        "choose another --port or --host\n"
    )


def test_an_unknown_host_is_refused() -> None:
    result = invoke("app_to_run:app", "--host", "no-such-host.invalid")
    assert (result.exit_code, result.stderr) == (
        2,
        "wspipe: there is no host 'no-such-host.invalid'; choose another --host\n",
    )


@pytest.mark.parametrize(
    ("options", "refusal"),
    [
        (["--ssl-keyfile", "wspipe.toml"], "--ssl-keyfile needs --ssl-certfile"),
        (["--ssl-certfile", "wspipe.toml"], "TLS cannot be had with wspipe.toml: [SSL] PEM lib"),
        (["--ws", "wsproto"], "wsproto is not installed; --ws wsproto needs it"),
    ],
)
def test_what_uvicorn_cannot_load_is_refused(
    options: list[str], refusal: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "uvicorn.protocols.websockets.wsproto_impl", raising=False)
    monkeypatch.setitem(sys.modules, "wsproto", None)
    result = invoke("app_to_run:app", *options, *NOWHERE)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"wspipe: {refusal}")
    assert result.stderr.count("\n") == 1


def test_a_handler_as_an_application_is_one(tmp_path: Path) -> None:
    (tmp_path / "handler_to_run.py").write_text(
        "from wspipe import websocket_app\n\n\n@websocket_app\nasync def app(socket):\n    pass\n"
    )
    result = invoke("handler_to_run:app", *NOWHERE)
    assert "does not take scope" not in result.stderr


@pytest.mark.parametrize(
    ("app", "refusal"),
    [
        ("app_to_run", 'Import string "app_to_run" must be in format "<module>:<attribute>".'),
        (
            "absent:app",
            (
                'Could not import module "absent". '
                "It was looked for in {here} first, which --app-dir sets."
            ),
        ),
        ("app_to_run:nope", 'Attribute "nope" not found in module "app_to_run".'),
        ("app_to_run:a_text", "app_to_run:a_text is 'a text', which is no ASGI application"),
        (
            "app_to_run:make",
            (
                "app_to_run:make does not take scope, receive and send; "
                "for a function that makes the application, give --factory"
            ),
        ),
    ],
)
def test_what_is_no_application_is_refused(app: str, refusal: str, tmp_path: Path) -> None:
    result = invoke(app, *NOWHERE)
    refusal = refusal.format(here=tmp_path)
    assert (result.exit_code, result.stderr) == (2, f"wspipe: {refusal}\n")


@pytest.mark.parametrize(
    ("app", "refusal"),
    [
        ("fail", "cannot be had: RuntimeError: no such database (at FILE:28)"),
        ("a_text", "cannot be had: TypeError: 'str' object is not callable"),
        ("make_text", "is 'a text', which is no ASGI application"),
        ("make_make", "does not take scope, receive and send"),
    ],
)
def test_what_makes_no_application_is_refused(app: str, refusal: str, tmp_path: Path) -> None:
    result = invoke(f"app_to_run:{app}", "--factory", *NOWHERE)
    told = result.stderr.replace(str(tmp_path / "app_to_run.py"), "FILE")
    assert (result.exit_code, told) == (2, f"wspipe: app_to_run:{app} {refusal}\n")


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        ("\nimport no_such", "ModuleNotFoundError: No module named 'no_such' (at FILE:2)"),
        ("\nraise SystemExit('no\\nway')", "SystemExit: no way (at FILE:2)"),
        ("x = (", "SyntaxError: '(' was never closed (app_to_run.py, line 1)"),
    ],
)
def test_a_module_that_does_not_import_is_refused(text: str, refusal: str, tmp_path: Path) -> None:
    file = tmp_path / "app_to_run.py"
    file.write_text(text)
    result = invoke("app_to_run:app", *NOWHERE)
    told = result.stderr.replace(str(file), "FILE")
    assert (result.exit_code, told) == (2, f"wspipe: app_to_run:app cannot be had: {refusal}\n")


def test_what_has_no_signature_may_be_an_application() -> None:
    sys.path.insert(0, ".")
    assert imported("app_to_run:compiled") is max
