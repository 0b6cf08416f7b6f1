"""A page with the script of the page on stopping comes back, later and later, until it is over."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from websockets.sync.server import serve

from tests.browser.conftest import open_tab
from tests.docs.markdown import blocks_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from websockets.http11 import Request, Response
    from websockets.sync.server import ServerConnection

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "shutdown.md"
ADDRESS = "wss://chat.example.com/"

# Notes each wait, and does not wait; counts in the title the closes that the script has heard of.
AROUND = """
const waits = [];
let closes = 0;
class Watched extends WebSocket {
  constructor(url) {
    super(url);
    this.addEventListener("close", () => setTimeout(() => { document.title = ++closes; }, 0));
  }
}
((WebSocket, setTimeout, Math) => { SCRIPT })(
  Watched,
  (call, wait) => { waits.push(wait); setTimeout(call, 0); },
  { min: Math.min, random: () => 1 },
);
"""


@contextmanager
def served(answers: Iterator[int]) -> Iterator[str]:
    """Serve a page, and answer each WebSocket by a close with a code, or by an HTTP status."""
    codes = {}

    def answer(connection: ServerConnection, request: Request) -> Response | None:
        if "upgrade" not in request.headers:
            return connection.respond(200, "a page")
        codes[connection] = code = next(answers)
        return connection.respond(code, "") if code < 1000 else None

    def end(connection: ServerConnection) -> None:
        connection.close(codes[connection])

    # A browser also connects ahead, and then makes no request: it is not waited for.
    with serve(end, "127.0.0.1", 0, process_request=answer, open_timeout=3) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.socket.getsockname()[1]}"
        server.shutdown()
        thread.join()


def test_it_comes_back_later_and_later_until_it_is_over(devtools: str) -> None:
    (script,) = [block.body for block in blocks_of(PAGE) if block.language == "javascript"]
    assert ADDRESS in script
    answers = iter([1012, 503, 503, 1012, 1000])
    with served(answers) as server, open_tab(devtools, f"http://{server}/") as tab:
        tab.evaluate(AROUND.replace("SCRIPT", script.replace(ADDRESS, f"ws://{server}/")))
        tab.wait("document.title === '5'")
        assert tab.evaluate("waits") == [1000, 2000, 4000, 1000]
    assert list(answers) == []
