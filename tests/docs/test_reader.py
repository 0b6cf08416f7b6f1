"""The reader of the pages believes what is so, and finds each kind of lie."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.docs import terminal
from tests.docs.reader import Reader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ECHO = """\
```{code-block} python
:caption: echo.py

from wspipe import websocket_app
from wspipe_middlewares import Logging


@websocket_app(pipeline=Logging())
async def app(socket):
    async for message in socket.iter_text():
        if message != "shh":
            await socket.send_text(message)
```

```console
$ uvicorn echo:app
```
"""
CLIENT = """\
```console
$ python -m websockets ws://127.0.0.1:8000/
```
"""


def console(body: str) -> str:
    return f"```console\n{body}\n```\n"


def text(body: str) -> str:
    return f"```text\n{body}\n```\n"


def log(body: str) -> str:
    return f"```{{code-block}} text\n:class: log\n\n{body}\n```\n"


def measured(body: str) -> str:
    return f"```{{code-block}} console\n:class: measured\n\n{body}\n```\n"


def python(body: str) -> str:
    return f"```python\n{body}\n```\n"


@pytest.fixture
def follow(tmp_path: Path, environment: dict[str, str]) -> Iterator[Callable[[str], Reader]]:
    """Have a page written, and followed."""
    folder = tmp_path / "here"
    folder.mkdir()
    path = os.pathsep.join((environment["PATH"], str(Path(sys.executable).parent)))
    reader = Reader(folder, {**environment, "PATH": path}, tmp_path / "memory.json")

    def following(content: str) -> Reader:
        page = tmp_path / "page.md"
        page.write_text(f"# A page\n\n{content}", encoding="utf-8")
        reader.follow(page)
        return reader

    yield following
    reader.leave()


TRUE = {
    "an output": python("print(1)") + text("1"),
    "no output": python("one = 1"),
    "one Python for all blocks": python("one = 1") + "Then:\n\n" + python("print(one)") + text("1"),
    "anything": python("print('It took', 3.7, 'seconds.')") + text("It took ... seconds."),
    "some lines": python("print(*'abcd', sep='\\n')") + text("a\n...\nd"),
    "a time": python("print('2001-02-03 04:05:06')") + text("2026-11-22 14:15:56"),
    "a command's output": console("$ echo one; echo two >&2\none\ntwo"),
    "commands one after the other": console("$ echo one\none\n$ true\n$ echo two\ntwo"),
    "a command that says why it fails": console("$ echo no; false\nno"),
    "a folder and a variable": console("$ mkdir in; cd in; export IT=7")
    + console('$ basename "$PWD"; echo $IT\nin\n7'),
    "figures that are measured": measured("$ echo '1.25 µs  7 %'\n930 ns     12 %"),
    "what is not run": f"<!-- not run: it fails -->\n{console('$ false')}",
    "a drawing": "```none\na -> b\n```\n",
    "a directive": "```{toctree}\nelsewhere\n```\n",
    "a saved file": "```{code-block} toml\n:caption: in/it.toml\n\none = 1\n```\n"
    + console("$ cat in/it.toml\none = 1"),
    "a saved file on GitHub": "<!-- save as it.py -->\n"
    + python("print(1)")
    + console("$ python it.py\n1"),
    "a program that there is": "<!-- needs: true -->\n" + console("$ echo one\none"),
    "a session": ECHO + CLIENT + text("> shh\n> hello\n< hello\nConnection closed: 1000 (OK)."),
    "a session from its first line": ECHO
    + CLIENT
    + text("Connected to ws://127.0.0.1:8000/.\n> hello\n< h...\nConnection closed: 1000 (OK)."),
    "two clients": ECHO
    + CLIENT
    + text("> one\n< one")
    + CLIENT
    + text("> two\n< two\nConnection closed: 1000 (OK).")
    + text("> three\n< three\nConnection closed: 1000 (OK)."),
    "a log": ECHO
    + CLIENT
    + text("> hello\n< hello\nConnection closed: 1000 (OK).")
    + log("websocket.open path=/\nwebsocket.close messages_received=1\n    path=/"),
    "a log with a time": ECHO
    + CLIENT
    + log(
        "2026-11-22 14:15:56 [info     ] websocket.open client=... path=/\n    ... user_agent=..."
    ),
    "a stop": ECHO
    + CLIENT
    + text("> hello\n< hello")
    + console("^C")
    + text("Connection closed: 1012 (service restart).")
    + log("INFO: Finished server process"),
    "a server in place of another": ECHO + ECHO + CLIENT + text("> hello\n< hello"),
    "a server with a port of its own": ECHO + console("$ uvicorn echo:app --port 8001"),
}


@pytest.mark.parametrize("content", TRUE.values(), ids=TRUE)
def test_a_page_that_is_true_is_believed(content: str, follow: Callable[[str], Reader]) -> None:
    follow(content)


def test_a_program_is_included_to_be_saved_or_read(
    follow: Callable[[str], Reader], tmp_path: Path
) -> None:
    (tmp_path / "one.py").write_text("print(1)\n", encoding="utf-8")
    include = "```{literalinclude} one.py\n"
    reader = follow(
        f"{include}```\n\n{include}:caption: two.py\n```\n" + console("$ python two.py\n1")
    )
    assert (reader.folder / "two.py").read_text(encoding="utf-8") == "print(1)\n"


def test_what_is_not_run_is_not_saved_either(follow: Callable[[str], Reader]) -> None:
    block = "```{code-block} toml\n:caption: it.toml\n\none = 1\n```\n"
    follow(f"<!-- not run: why -->\n{block}" + console("$ ls | wc -l\n0"))


FALSE = {
    "another output": (python("print(1)") + text("2"), "the code printed\n1"),
    "more output": (python("print(1); print(2)") + text("1"), "the code printed\n1\n2"),
    "an output that is not shown": (
        python("print(1)") + python("one = 1"),
        "printed what the page does not show:\n1",
    ),
    "an output at the end": (python("print(1)"), "printed what the page does not show:\n1"),
    "code that fails": (python("one"), "NameError"),
    "code that warns": (python("import warnings; warnings.warn('old')"), "UserWarning: old"),
    "an output of nothing": (text("one"), "the code printed\n\nand the page has\none"),
    "a command's other output": (console("$ echo one\ntwo"), "echo one printed\none"),
    "a command's figures": (console("$ echo 1.2 ms\n1.3 ms"), "echo 1.2 ms printed"),
    "words that are measured": (measured("$ echo 1 ms\n1 s"), "echo 1 ms printed"),
    "a command that fails": (console("$ (echo why; exit 3)"), "failed with 3:\nwhy"),
    "a command that there is not": (console("$ no-such-thing"), "failed with 127"),
    "a command without dollar": (console("echo one"), "begins with a dollar sign"),
    "a language that nobody knows": ("```cobol\nSTOP RUN.\n```\n", "a block of cobol"),
    "a fragment that is not saved": ("```toml\none = 1\n```\n", "a block of toml"),
    "no reason for not running": (f"<!-- not run -->\n{console('$ false')}", "failed with 1"),
    "a server that does not start": (console("$ uvicorn nowhere:app"), "printed no 'port"),
    "a stop of nothing": (console("^C"), "there is no server"),
    "a log of nothing": (log("websocket.open"), "there is no server"),
    "two ids for one": (
        python("print('0123456789abcdef', '0123456789abcdef')")
        + text("0123456789abcdef fedcba9876543210"),
        "the code printed",
    ),
    "dots that are none": (python("print('F...')") + text("....\n"), "the code printed"),
    "lines in a line": (python("print('a\\nb')") + text("a...b"), "the code printed"),
    "the output of a server": (
        ECHO.replace("echo:app\n", "echo:app\nrunning\n"),
        "is in a block of its own",
    ),
    "half an end": (
        ECHO + CLIENT + text("> one\n< one") + console("^C") + text("Connection closed: 1012"),
        "'Connection closed: 1012 (service restart).' where",
    ),
    "another answer": (ECHO + CLIENT + text("> one\n< two"), "'< one' where the page has '< two'"),
    "half an answer": (ECHO + CLIENT + text("> one\n< on"), "'< one' where the page has '< on'"),
    "an answer that is not shown": (
        ECHO + CLIENT + text("> one\n> two\n< two"),
        "'< one' where the page has '< two'",
    ),
    "another end": (
        ECHO + CLIENT + text("> one\n< one") + console("^C") + text("Connection closed: 1011"),
        "'Connection closed: 1012 (service restart).' where",
    ),
    "a program that is never run": (
        "```{code-block} python\n:caption: it.py\n\none = it\n```\n" + console("$ echo 1"),
        "it.py saved and never used",
    ),
    "no connection": (CLIENT + text("Connected to ws://127.0.0.1:8000/."), 'printed "Failed to'),
}


@pytest.mark.parametrize(("content", "found"), FALSE.values(), ids=FALSE)
def test_a_lie_is_found(content: str, found: str, follow: Callable[[str], Reader]) -> None:
    with pytest.raises(pytest.fail.Exception) as failure:
        follow(content)
    assert found in str(failure.value)


def test_where_the_lie_is_is_told(follow: Callable[[str], Reader]) -> None:
    with pytest.raises(pytest.fail.Exception, match=r"^page\.md:7: false failed with 1"):
        follow(console("$ true") + "\n" + console("$ false"))


NEVER = {
    "an answer": ("\n```text\n> shh\n< shh\n```\n", "or nothing in time"),
    "an entry": (log("websocket.error"), "printed no 'websocket.error'"),
    "an entry with other words": (log("websocket.open path=/else"), "printed no 'websocket.open"),
    "an entry with half a word": (log("websocket.open connection_i"), "printed no 'websocket.open"),
    "an entry before the one before it": (
        log("websocket.open\nApplication startup complete."),
        "printed no 'Application startup",
    ),
    "half an entry with a time": (
        log("2026-11-22 14:15:56 [info     ] websocket.open client=127.0.0.1:44022"),
        "printed no '2026",
    ),
}


@pytest.mark.parametrize(("content", "found"), NEVER.values(), ids=NEVER)
def test_what_never_comes_is_not_awaited_for_ever(
    content: str, found: str, follow: Callable[[str], Reader], monkeypatch: pytest.MonkeyPatch
) -> None:
    follow(ECHO + CLIENT + text("> one\n< one"))
    monkeypatch.setattr(terminal, "PATIENCE", 0.5)
    reader = follow("")
    page = reader.page
    page.write_text(content, encoding="utf-8")
    with pytest.raises(pytest.fail.Exception) as failure:
        reader.follow(page)
    assert found in str(failure.value)


@pytest.mark.parametrize(("ci", "outcome"), [("true", pytest.fail), ("", pytest.skip)])
def test_a_program_that_there_is_not_is_missed_in_ci(
    ci: str, outcome: type, follow: Callable[[str], Reader], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome.Exception, match="no no-such-thing is installed"):
        follow("<!-- needs: no-such-thing -->\n" + console("$ no-such-thing"))
