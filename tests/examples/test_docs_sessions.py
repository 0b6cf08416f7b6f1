"""What the tutorial shows of its programs is what they do, over a real server."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from websockets.sync.client import connect

if TYPE_CHECKING:
    from collections.abc import Callable

DOCS = Path(__file__).parents[2] / "docs"
CONTROL = re.compile(r"\x1b(\[[0-9;]*[A-Za-z]|[78])")
VARIABLE = {
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d": "<time>",
    r"127\.0\.0\.1:\d+": "<address>",
    r"connection_id=[0-9a-f]{16}": "<id>",
    r"duration=[\d.e-]+": "<duration>",
    r"Python/[\d.]+ websockets/[\d.]+": "<agent>",
    r"in \d+\.\d+s": "<seconds>",
}


def settled(text: str) -> str:
    """Take out how lines are wrapped, and what differs from run to run."""
    text = " ".join(text.split())
    for pattern, name in VARIABLE.items():
        text = re.sub(pattern, name, text)
    return text


def lines_of_structlog(log: str) -> str:
    return "\n".join(line for line in log.splitlines() if re.match(r"\d{4}-\d\d-\d\d ", line))


class Session:
    """A session of the interactive client of websockets, held as the page shows it."""

    def __init__(self, process: Any) -> None:
        self.process = process
        self.output = ""

    def hold(self, shown: str) -> None:
        for line in shown.splitlines():
            if line.startswith("> "):
                self.process.stdin.write(f"{line.removeprefix('> ')}\n")
                self.process.stdin.flush()
            else:
                if line == "Connection closed: 1000 (OK).":
                    self.process.stdin.close()
                self.expect(line)

    def expect(self, line: str) -> None:
        while line not in self.output:
            char = self.process.stdout.read(1)
            if not char:
                pytest.fail(f"the client ended before it printed {line!r}: {self.output!r}")
            self.output = CONTROL.sub("", self.output + char)
        self.output = self.output.partition(line)[2]


@pytest.fixture
def session(
    serve: Callable[..., Any], run: Callable[..., Any], shown: Callable[[str], str]
) -> Callable[..., str]:
    """Serve a program, hold the session of that name with it, give the server's log."""

    def held(target: str, path: str, name: str) -> str:
        with serve(target) as server:
            with run("websockets", f"ws://{server.address}{path}") as client:
                Session(client).hold(shown(name).replace("127.0.0.1:8000", server.address))
            log: str = server.stop()
        return log

    return held


def test_the_echo(session: Callable[..., str], shown: Callable[[str], str]) -> None:
    log = session("echo:app", "/?room=7&token=s3cret", "echo-session")
    assert settled(lines_of_structlog(log)) == settled(shown("echo-log"))
    assert "s3cret" not in lines_of_structlog(log)


def test_the_interceptors(session: Callable[..., str]) -> None:
    session("first_interceptor:app", "/", "interceptor-session")


def test_the_quota_denies_who_has_no_name(session: Callable[..., str]) -> None:
    log = session("own_middleware:app", "/", "quota-denied")
    assert "closed_by=Quota" in log
    assert "status=401" in log


def test_the_quota_is_used_up(session: Callable[..., str], shown: Callable[[str], str]) -> None:
    log = session("own_middleware:app", "/?user=ann", "quota-session")
    _, *the_end = lines_of_structlog(log).splitlines()
    assert settled("\n".join(the_end)) == settled(shown("quota-log"))


def test_the_chat(serve: Callable[..., Any], shown: Callable[[str], str]) -> None:
    with serve("chat_class:app") as server:
        url = f"ws://{server.address}/?name="
        with connect(f"{url}ann") as ann:
            seen = [ann.recv(timeout=10)]
            with connect(f"{url}bob") as bob:
                seen.append(ann.recv(timeout=10))
                bob.send("hello")
                seen.append(ann.recv(timeout=10))
        log = server.stop()
    assert seen == shown("chat-session").splitlines()
    assert log.count("websocket.close") == 2


def test_the_pipeline_around_starlette(serve: Callable[..., Any]) -> None:
    with serve("around_starlette:app") as server:
        page = httpx.get(f"http://{server.address}/", timeout=10).text
        with connect(f"ws://{server.address}/echo") as client:
            client.send("hello")
            answer = client.recv(timeout=10)
        log = server.stop()
    assert (page, answer) == ("The WebSocket is at /echo.\n", "hello")
    assert "messages_received=1 messages_sent=1 path=/echo" in log


def test_the_test_of_the_quota(run: Callable[..., Any], shown: Callable[[str], str]) -> None:
    plain = ("-p", "no:cacheprovider", "-p", "no:asyncio", "--color=no")
    with run("pytest", "-q", "test_own_middleware.py", *plain) as process:
        report = process.communicate()[0]
    assert settled(report) == settled(shown("test-run"))


def test_every_named_output_is_compared_here() -> None:
    pages = "".join(page.read_text(encoding="utf-8") for page in DOCS.rglob("*.md"))
    here = Path(__file__).read_text(encoding="utf-8")
    names = re.findall(r"^```\{code-block\} text\n:name: (\S+)$", pages, re.MULTILINE)
    assert len(names) == pages.count("```{code-block} text\n") >= 6
    assert [name for name in names if f'"{name}"' not in here] == []
