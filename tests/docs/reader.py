"""A reader, who follows a page to the letter in an empty folder."""

from __future__ import annotations

import os
import re
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.docs.compared import is_shown
from tests.docs.markdown import Block, blocks_of
from tests.docs.terminal import Client, Process, Prompt, Server, Shell, free_port

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_SERVER = re.compile(r"(uvicorn|hypercorn|granian|daphne|wspipe (run|demo)) (?!--help)")
_CLIENT = "python -m websockets "
_PORT = re.compile(r"((?:127\.0\.0\.1|localhost):|--port )(8\d{3})\b")
_PORT_OPTION = re.compile(r"--port |-p |--bind ")


class Reader:
    """Saves what a page says to save, runs what it says to run, and compares what it shows.

    The pages mean by a block what `CONTRIBUTING.md` says under "Pages that run".
    """

    def __init__(self, folder: Path, environment: Mapping[str, str], memory: Path) -> None:
        self.folder = folder
        self.shell = Shell(folder, environment, memory)
        self.page = folder
        self._here: dict[str, str] = {}
        """The ports that a page names, and those that the reader takes instead."""
        self._servers: list[Server] = []
        self._clients: list[Client] = []
        self._prompt: Prompt | None = None
        self._printed = ""
        self._unused: set[str] = set()
        """The programs that were saved, and that nothing has named since."""
        self.logs: list[list[str]] = []
        """What each server has printed, a line after the other."""

    def follow(self, page: Path) -> None:
        """Follow the page from its beginning to its end."""
        self.page = page
        for block in blocks_of(page):
            try:
                self._look_for_what_it_needs(block)
                self._take(block)
            except pytest.fail.Exception as failure:
                pytest.fail(f"{page.name}:{block.line}: {failure.msg}")
        self._nothing_unread()
        if self._unused:
            pytest.fail(f"{page.name}: {', '.join(sorted(self._unused))} saved and never used")

    def leave(self) -> None:
        """End what the page has left running."""
        ends: list[Process | None] = [*self._clients, *reversed(self._servers), self._prompt]
        for process in ends:
            if process is not None:
                process.end()

    def _take(self, block: Block) -> None:
        if block.language != "text":
            self._nothing_unread()
        match block.directive or block.language:
            case _ if block.remark.startswith("not run: ") or block.language == "none":
                pass
            case "{literalinclude}":
                if block.saved_as:
                    program = self.page.parent / block.language.split()[1]
                    self._save(block.saved_as, program.read_text(encoding="utf-8"))
            case "console":
                self._type(block)
            case "text":
                self._read(block)
            case _ if block.directive:
                pass
            case _ if block.saved_as:
                self._save(block.saved_as, block.body)
            case "python":
                self._prompt = self._prompt or Prompt(self.shell.cwd, self.shell.env)
                self._uses(block.body)
                self._printed = self._prompt.type(self._ported(block.body))
            case unknown:
                pytest.fail(f"nobody knows what to do with a block of {unknown}")

    def _look_for_what_it_needs(self, block: Block) -> None:
        """Go no further without a program, but in CI it has to be there."""
        _, needs, program = block.remark.partition("needs: ")
        if needs and not shutil.which(program, path=self.shell.env["PATH"]):
            without = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
            without(f"no {program} is installed")

    def _save(self, name: str, text: str) -> None:
        """Save a file as an editor does."""
        file = self.shell.cwd / name
        file.parent.mkdir(parents=True, exist_ok=True)
        self._uses(text)
        if file.suffix == ".py":
            self._unused.add(name)
        new = file.with_name(f"{file.name}~")
        new.write_text(self._ported(text), encoding="utf-8")
        new.replace(file)

    def _uses(self, text: str) -> None:
        """Strike what a command or a program names, and for pytest all tests."""
        words = set(re.findall(r"\w+", text))
        self._unused -= {
            name
            for name in self._unused
            if words & set(re.findall(r"\w+", name.removesuffix(".py")))
            or ("pytest" in words and "test_" in name)
        }

    def _type(self, block: Block) -> None:
        """Type the commands of a block one after the other."""
        if block.body == "^C\n":
            self._last_server().interrupt()
            return
        first, *rest = re.split(r"^\$ ", block.body, flags=re.MULTILINE)
        if first:
            pytest.fail("a command begins with a dollar sign and a space")
        for each in rest:
            command, _, shown = each.partition("\n")
            command = self._ported(command)
            self._uses(command)
            if shown and (_SERVER.match(command) or command.startswith(_CLIENT)):
                pytest.fail("what a server or a client prints is in a block of its own")
            if _SERVER.match(command):
                self._serve(command)
            elif command.startswith(_CLIENT):
                self._clients.append(Client(command, self.shell.cwd, self.shell.env))
            else:
                self._run(command, shown, measured=block.shows("measured"))

    def _run(self, command: str, shown: str, *, measured: bool) -> None:
        code, printed = self.shell.run(command)
        if shown and not is_shown(self._as_on_page(printed), shown, measured=measured):
            pytest.fail(f"{command} printed\n{printed}\nand the page has\n{shown}")
        if code and not shown:
            pytest.fail(f"{command} failed with {code}:\n{printed}")

    def _serve(self, command: str) -> None:
        port = self._own(found[1] if (found := _own_port(command)) else "8000")
        if not _PORT_OPTION.search(command):
            program = command.split(maxsplit=1)[0]
            options = {"hypercorn": f"--bind 127.0.0.1:{port}", "daphne": f"-p {port}"}
            command += f" {options.get(program, f'--port {port}')}"
        for server in self._servers[:]:
            if server.port == int(port):
                server.end()
                self._servers.remove(server)
                self._end_clients()
        server = Server(command, int(port), self.shell.cwd, self.shell.env)
        self._servers.append(server)
        self.logs.append(server.lines)

    def _last_server(self) -> Server:
        if not self._servers:
            pytest.fail("there is no server")
        return self._servers[-1]

    def _end_clients(self) -> None:
        while self._clients:
            self._clients.pop().end()

    def _read(self, block: Block) -> None:
        """Compare what was printed, talk to a server, or look into its log."""
        if block.shows("log"):
            self._last_server().shows(self._ported(block.body))
        elif clients := [client for client in self._clients if not client.is_over]:
            clients[-1].hold(self._ported(block.body))
        elif not is_shown(self._as_on_page(self._printed), block.body):
            pytest.fail(f"the code printed\n{self._printed}\nand the page has\n{block.body}")
        else:
            self._printed = ""

    def _nothing_unread(self) -> None:
        if self._printed:
            printed, self._printed = self._printed, ""
            pytest.fail(f"above, code printed what the page does not show:\n{printed}")

    def _own(self, port: str) -> str:
        if port not in self._here and port not in self._here.values():
            self._here[port] = str(free_port())
        return self._here.get(port, port)

    def _ported(self, text: str) -> str:
        return _PORT.sub(lambda found: found[1] + self._own(found[2]), text)

    def _as_on_page(self, text: str) -> str:
        for port, here in self._here.items():
            text = text.replace(here, port)
        return text


def _own_port(command: str) -> re.Match[str] | None:
    return re.search(r"(?:--port |-p |--bind \S*:)(\d+)", command)
