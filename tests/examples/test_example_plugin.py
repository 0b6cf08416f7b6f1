"""The package in `examples/plugin/`: built, installed into a folder of its own, and put to use."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from shutil import copytree
from typing import TYPE_CHECKING, Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.docs.markdown import blocks_of

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
PLUGIN = ROOT / "examples" / "plugin"
PAGE = ROOT / "docs" / "how-to" / "plugins.md"
PATIENCE = 120


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the package where nothing but these tests finds it, without the network."""
    folder = tmp_path_factory.mktemp("plugin")
    copytree(PLUGIN, folder / "source")
    pip = [sys.executable, "-m", "pip", "install", "--no-index", "--no-deps"]
    subprocess.run(
        [*pip, "--no-build-isolation", "--target", folder / "site", folder / "source"],
        check=True,
        timeout=PATIENCE,
        env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
    )
    return folder / "site"


@pytest.fixture
def command(
    site: Path, run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], tuple[int, str]]:
    """Run a command in the package's folder; give its exit code and what it prints."""
    monkeypatch.setenv("PYTHONPATH", str(site))

    def finish(line: str, *options: str) -> tuple[int, str]:
        _, *arguments = line.split()
        with run("wspipe", *arguments, *options, cwd=PLUGIN) as process:
            output: str = process.communicate()[0]
        return process.returncode, output

    return finish


def test_every_file_of_the_package_is_in_the_documentation() -> None:
    included = {
        (PAGE.parent / block.language.split()[1]).resolve()
        for block in blocks_of(PAGE)
        if block.directive == "{literalinclude}"
    }
    files = {
        path
        for path in PLUGIN.rglob("*")
        if path.is_file() and path.suffix not in {".pyc", ".typed"}
    }
    assert included == files


def test_it_is_built_with_its_types_and_its_entry_point(site: Path) -> None:
    assert (site / "wspipe_networks" / "py.typed").is_file()
    (about,) = site.glob("*.dist-info")
    assert about.name == "wspipe_networks-1.0.0.dist-info"
    assert (about / "entry_points.txt").read_text(encoding="utf-8").split("\n")[:2] == [
        "[wspipe.middlewares]",
        "Networks = wspipe_networks:Networks",
    ]


def test_it_is_short_and_uses_only_public_names() -> None:
    source = (PLUGIN / "src" / "wspipe_networks" / "__init__.py").read_text(encoding="utf-8")
    assert re.findall(r"wspipe\.\w+|from wspipe\w*", source) == ["from wspipe"]
    _, _, middleware = source.partition("@dataclass")
    code = re.sub(r'"""(?s:.*?)"""', "", middleware)
    assert sum(bool(line.strip()) for line in code.splitlines()) < 40


def test_it_is_not_in_the_environment_that_runs_the_tests(run: Callable[..., Any]) -> None:
    with run("wspipe", "middlewares", "Networks", cwd=PLUGIN) as process:
        output = process.communicate()[0]
    assert process.returncode == 2
    assert 'there is no middleware "Networks"' in output


def test_the_list_has_its_options(command: Callable[..., tuple[int, str]]) -> None:
    code, output = command("wspipe middlewares Networks --json")
    assert code == 0
    (networks,) = json.loads(output)["middlewares"]
    assert networks["package"] == "wspipe-networks 1.0.0"
    options = {option["name"]: option for option in networks["options"]}
    assert list(options) == ["allow", "deny_unknown", "status"]
    assert options["allow"]["required"] is True
    assert (options["deny_unknown"]["default"], options["status"]["default"]) == (True, 403)
    assert all(option["description"] for option in options.values())


def test_the_schema_has_its_options(command: Callable[..., tuple[int, str]]) -> None:
    code, output = command("wspipe schema")
    assert code == 0
    items = json.loads(output)["$defs"]["pipeline"]["properties"]["middlewares"]["items"]
    (networks,) = [
        stage
        for stage in items["anyOf"]
        if stage.get("properties", {}).get("use") == {"const": "Networks"}
    ]
    assert networks["required"] == ["use", "allow"]
    assert {"allow", "deny_unknown", "status"} <= set(networks["properties"])


@pytest.mark.parametrize(
    ("options", "place", "message"),
    [
        (
            'allow = ["10.0.0.0/33"]',
            "3:1",
            "middlewares[0].allow: has no network: '10.0.0.0/33' does not appear to be",
        ),
        ("allow = []\nstatus = 200", "4:1", "middlewares[0].status: is 400 to 599, not 200"),
        (
            'deny_unknown = "no"\nallow = []',
            "3:1",
            'middlewares[0].deny_unknown: must be true or false, not "no"',
        ),
        ("alow = []", "3:1", 'middlewares[0].alow: Networks has no option "alow"; did you mean'),
    ],
)
def test_check_points_at_the_option_that_is_wrong(
    options: str,
    place: str,
    message: str,
    command: Callable[..., tuple[int, str]],
    tmp_path: Path,
) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text(f"[[pipelines.main.middlewares]]\nuse = 'Networks'\n{options}\n")
    code, output = command("wspipe check", str(file))
    assert code == 1
    assert f"{file}:{place}: error: pipelines.main.{message}" in output


def test_the_readme_says_what_is_so(site: Path, tmp_path: Path) -> None:
    code = {block.language: block.body for block in blocks_of(PLUGIN / "README.md")}
    (tmp_path / "wspipe.toml").write_text(code["toml"], encoding="utf-8")
    compare = "from wspipe import Pipeline\nprint(Pipeline.from_config() == Pipeline(made))"
    made = code["python"].replace("\nNetworks(", "\nmade = Networks(")
    answer = subprocess.run(
        [sys.executable, "-B", "-c", f"{made}\n{compare}"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        check=True,
        encoding="utf-8",
        timeout=PATIENCE,
    )
    assert answer.stdout == "True\n"


def test_a_server_behind_it_lets_in_clients_of_its_networks_only(
    site: Path, run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(site))
    served = ("run", "around_starlette:starlette", "--app-dir", "..")
    with run("wspipe", *served, "--port", "0", "--json", cwd=PLUGIN) as process:
        start = json.loads(process.stdout.readline())
        assert start["event"] == "run.start", start
        address = f"ws://{start['address']}/echo"
        with connect(address) as client:
            client.send("hello")
            assert client.recv(PATIENCE) == "hello"
        # From this machine, uvicorn believes what a proxy tells.
        with pytest.raises(InvalidStatus) as denied:
            connect(address, additional_headers={"x-forwarded-for": "203.0.113.9"})
        with connect(address, additional_headers={"x-forwarded-for": "10.20.30.40"}) as client:
            client.send("from inside")
            assert client.recv(PATIENCE) == "from inside"
        process.terminate()
        lines = [json.loads(line) for line in process.stdout]
    assert denied.value.response.status_code == 404
    ends = [line for line in lines if line["event"] == "websocket.close"]
    assert [(line["status"], line["closed_by"]) for line in ends] == [
        (101, "client"),
        (404, "Networks"),
        (101, "client"),
    ]
