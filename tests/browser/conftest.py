"""A headless Chromium, driven by the Chrome DevTools Protocol over a WebSocket."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

import pytest
from websockets.sync.client import connect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from websockets.sync.client import ClientConnection

TIMEOUT = 20.0
NAMES = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-background-timer-throttling",
    "--disable-component-update",
    "--disable-renderer-backgrounding",
    "--disable-sync",
    "--remote-debugging-port=0",
)

# Looks whenever the page changes, and gives up with what the page shows.
WAIT = """
new Promise((resolve, reject) => {
  const look = () => { if (CONDITION) { observer.disconnect(); resolve(true); } };
  const observer = new MutationObserver(look);
  observer.observe(document, {
    subtree: true, childList: true, characterData: true, attributes: true,
  });
  setTimeout(() => reject(new Error(document.body.innerText)), TIMEOUT);
  look();
})
"""


class Tab:
    """A page in the browser."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._numbers = count(1)
        self._events: list[dict[str, Any]] = []

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self._socket.recv(2 * TIMEOUT))
            if answer.get("id") == number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]
            self._events.append(answer)  # events come in between the answers

    def wait_for_event(self, method: str) -> None:
        while not any(event["method"] == method for event in self._events):
            answer = json.loads(self._socket.recv(2 * TIMEOUT))
            self._events.append(answer)

    def evaluate(self, expression: str) -> Any:
        answer = self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        details = answer.get("exceptionDetails", {})
        problem = details.get("exception", {}).get("description") or details.get("text")
        assert not details, f"{expression}\n{problem}"
        return answer["result"].get("value")

    def wait(self, condition: str) -> None:
        timeout = str(round(TIMEOUT * 1000))
        self.evaluate(WAIT.replace("CONDITION", condition).replace("TIMEOUT", timeout))

    def text(self, element_id: str) -> str:
        return self.evaluate(f"document.getElementById({element_id!r}).textContent")

    def wait_for_text(self, element_id: str, text: str) -> None:
        self.wait(f"document.getElementById({element_id!r}).textContent.includes({text!r})")

    def click(self, element_id: str) -> None:
        self.wait(f"!document.getElementById({element_id!r}).disabled")
        self.evaluate(f"document.getElementById({element_id!r}).click()")

    def fill(self, element_id: str, text: str) -> None:
        self.evaluate(f"document.getElementById({element_id!r}).value = {json.dumps(text)}")

    def complaints(self) -> list[dict[str, Any]]:
        """Give what the browser's console would show, once `Log` and `Runtime` are enabled."""
        kinds = {"Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown"}
        return [event for event in self._events if event["method"] in kinds]


@contextmanager
def running_browser(program: str, profile: Path) -> Iterator[str]:
    """Run a browser and give the address of its DevTools."""
    browser = subprocess.Popen(
        [program, *OPTIONS, f"--user-data-dir={profile}", "about:blank"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        port_file = profile / "DevToolsActivePort"
        wait_until(lambda: port_file.exists() and "\n" in port_file.read_text(), browser)
        port = port_file.read_text().split()[0]
        yield f"http://127.0.0.1:{port}"
    finally:
        browser.terminate()
        browser.wait(TIMEOUT)


@contextmanager
def open_tab(devtools: str, url: str) -> Iterator[Tab]:
    # A blank tab first, sent to the page only when we listen: what is evaluated while a tab still
    # navigates is lost with the page that it leaves.
    request = Request(f"{devtools}/json/new?about:blank", method="PUT")  # noqa: S310 - it is http
    with urlopen(request, timeout=TIMEOUT) as response:  # noqa: S310 - it is http
        page = json.load(response)
    with connect(page["webSocketDebuggerUrl"], open_timeout=TIMEOUT, max_size=None) as socket:
        tab = Tab(socket)
        tab.call("Page.enable")
        tab.call("Page.navigate", url=url)
        tab.wait_for_event("Page.loadEventFired")
        yield tab
    urlopen(f"{devtools}/json/close/{page['id']}", timeout=TIMEOUT).close()  # noqa: S310


@dataclass
class Demo:
    """A running `wspipe demo` and the address of its page."""

    process: subprocess.Popen[bytes]
    url: str


@contextmanager
def running_demo(logs: Path) -> Iterator[Demo]:
    with logs.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "wspipe", "demo", "--port", "0", "--json"], stdout=output
        )
    try:
        wait_until(lambda: logs.read_bytes().endswith(b"\n"), process)
        yield Demo(process, json.loads(logs.read_text().splitlines()[0])["url"])
    finally:
        process.terminate()
        process.wait(TIMEOUT)


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert process.poll() is None, f"{process.args} ended with {process.returncode}"
        assert time.monotonic() < deadline, f"{process.args} was not ready in time"
        time.sleep(0.02)


def find_browser() -> str:
    """Find a browser; without one skip the test, but fail it in CI."""
    for name in NAMES:
        if program := shutil.which(name):
            return program
    reason = f"no browser found: none of {', '.join(NAMES)} is on the PATH"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture
def browser_finder() -> Callable[[], str]:
    return find_browser


@pytest.fixture(scope="session")
def devtools(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_browser(find_browser(), tmp_path_factory.mktemp("browser")) as address:
        yield address


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    with running_demo(tmp_path / "demo.jsonl") as demo:
        yield demo


@pytest.fixture
def new_tab(devtools: str, demo: Demo) -> Iterator[Callable[[], Tab]]:
    """Open a tab with the demo's page, connected."""
    with ExitStack() as tabs:

        def open_page() -> Tab:
            tab = tabs.enter_context(open_tab(devtools, demo.url))
            tab.wait("document.body && document.body.dataset.state === 'open'")
            return tab

        yield open_page
