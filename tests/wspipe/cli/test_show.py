"""`wspipe show`: trees for people, and a configuration with all values for machines."""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING

import pytest

from wspipe.config import Config

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result

BASE = """\
pipeline base
├── StateValidation  (always there)
└── Logging  (wspipe.toml:4)
    ├── messages = false    default
    ├── ratio    = 1.0      default
    ├── preview  = 64       default
    ├── headers  = []       default
    ├── redact   = []       default
    ├── levels   = {}       default
    └── logger   = not set  default
"""
CHAT = """\
pipeline chat, which extends base
├── StateValidation  (always there)
├── Logging  (pipeline base, wspipe.toml:4)
│   ├── messages = false    default
│   ├── ratio    = 1.0      default
│   ├── preview  = 64       default
│   ├── headers  = []       default
│   ├── redact   = []       default
│   ├── levels   = {}       default
│   └── logger   = not set  default
└── room_parts:Origin  (wspipe.toml:9)
    ├── token = "${TOKEN}"  wspipe.toml:11, environment TOKEN
    └── fails = false       default
"""
ROUTES = """\
 path          host           pipeline  cookies   from           
 /chat/{room}  *.example.com  chat      believed  wspipe.toml:13 
"""  # noqa: W291 - the columns of the table


@pytest.mark.usefixtures("chat")
def test_all_pipelines_and_routes(wspipe: Callable[..., Result]) -> None:
    result = wspipe("show")
    assert result.stdout == BASE + CHAT + ROUTES + "any other connection gets pipeline base\n"
    assert (result.exit_code, result.stderr) == (0, "")


def test_a_route_for_any_host_and_no_default(here: Path, wspipe: Callable[..., Result]) -> None:
    (here / "wspipe.toml").write_text(
        'pipelines.main.middlewares = ["StateValidation"]\n'
        'routes = [{ path = "/*", pipeline = "main" }]\n'
    )
    assert wspipe("show").stdout.splitlines() == [
        "pipeline main",
        "└── StateValidation  (wspipe.toml:1)",
        "    └── strict = false  default",
        " path  host  pipeline  cookies  from          ",
        " /*    any   main               wspipe.toml:2 ",
        "any other connection gets no pipeline",
    ]


def test_an_object_of_python_code_has_no_options(chat: Path, wspipe: Callable[..., Result]) -> None:
    (chat / "wspipe.toml").write_text('pipelines.main.middlewares = ["room_parts:plain"]\n')
    assert wspipe("show", "--pipeline", "main").stdout.splitlines() == [
        "pipeline main",
        "├── StateValidation  (always there)",
        "└── room_parts:plain  (wspipe.toml:1)",
    ]


@pytest.mark.usefixtures("chat")
def test_one_pipeline(wspipe: Callable[..., Result]) -> None:
    assert wspipe("show", "--pipeline", "chat").stdout == CHAT


@pytest.mark.parametrize(
    ("arguments", "choice", "tree"),
    [
        (
            ["/chat/1", "--host", "eu.example.com"],
            '/chat/1 matches "/chat/{room}" (wspipe.toml:13)',
            CHAT,
        ),
        (
            ["/%63hat/1?token=x", "--host", "eu.example.com:8000"],
            '/%63hat/1?token=x matches "/chat/{room}" (wspipe.toml:13)',
            CHAT,
        ),
        (["/chat/1"], "/chat/1 matches no route and gets the default, base", BASE),
        (["/other"], "/other matches no route and gets the default, base", BASE),
    ],
)
@pytest.mark.usefixtures("chat")
def test_what_a_connection_gets(
    arguments: list[str], choice: str, tree: str, wspipe: Callable[..., Result]
) -> None:
    assert wspipe("show", "--path", *arguments).stdout == f"{choice}\n{tree}"


@pytest.mark.parametrize("option", [[], ["--json"]])
def test_a_connection_that_gets_nothing(
    option: list[str], chat: Path, wspipe: Callable[..., Result]
) -> None:
    file = chat / "wspipe.toml"
    file.write_text(file.read_text().replace('default = "base"\n', ""))
    result = wspipe("show", "--path", "/other", *option)
    if option:
        assert json.loads(result.stdout) == {"pipelines": {}, "$sources": {}}
    else:
        assert result.stdout == "/other matches no route and gets no pipeline\n"
    assert result.exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--pipeline", "chta"],
            (
                'wspipe.toml: error: there is no pipeline "chta"; did you mean "chat"? '
                'there are "base" and "chat"\n'
            ),
        ),
        (
            ["--pipeline", "chat", "--path", "/chat/1"],
            "wspipe: give --path or --pipeline, not both\n",
        ),
        (["--host", "example.com"], "wspipe: --host goes with --path\n"),
        (["--host", "example.com", "--pipeline", "chat"], "wspipe: --host goes with --path\n"),
    ],
)
@pytest.mark.usefixtures("chat")
def test_what_cannot_be_shown(
    arguments: list[str], message: str, wspipe: Callable[..., Result]
) -> None:
    result = wspipe("show", *arguments)
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", message)


def test_a_broken_configuration_is_refused(here: Path, wspipe: Callable[..., Result]) -> None:
    (here / "wspipe.toml").write_text("pipeline = 1\n")
    result = wspipe("show")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        'wspipe.toml:1:1: error: pipeline: the configuration has no key "pipeline"; '
        'did you mean "pipelines"? there are "default", "pipelines" and "routes"\n'
    )


def test_a_missing_file_is_refused(here: Path, wspipe: Callable[..., Result]) -> None:
    result = wspipe("show", "chat.json")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "chat.json: error: cannot be read: no such file or directory\n"
    assert here.is_dir()


@pytest.mark.usefixtures("chat")
def test_as_json(wspipe: Callable[..., Result]) -> None:
    logging = {
        "use": "Logging",
        "messages": False,
        "ratio": 1.0,
        "preview": 64,
        "headers": [],
        "redact": [],
        "levels": {},
        "logger": None,
    }
    origin = {"use": "room_parts:Origin", "token": "${TOKEN}", "fails": False}
    shown = json.loads(wspipe("show", "--json").stdout)
    sources = shown.pop("$sources")
    assert shown == {
        "default": "base",
        "pipelines": {
            "base": {"middlewares": [logging]},
            "chat": {"middlewares": [logging, origin]},
        },
        "routes": [
            {"path": "/chat/{room}", "host": "*.example.com", "pipeline": "chat", "cookies": True}
        ],
    }
    assert sources["pipelines.chat.middlewares[1].token"] == "wspipe.toml:11, environment TOKEN"
    assert sources["pipelines.chat.middlewares[0]"] == "wspipe.toml:4"
    assert sources["pipelines.chat.middlewares[0].ratio"] == "default"


@pytest.mark.usefixtures("chat")
def test_one_pipeline_as_json(wspipe: Callable[..., Result]) -> None:
    shown = json.loads(wspipe("show", "--json", "--path", "/other").stdout)
    assert list(shown) == ["default", "pipelines", "$sources"]
    assert list(shown["pipelines"]) == ["base"]
    shown = json.loads(wspipe("show", "--json", "--pipeline", "chat").stdout)
    assert list(shown) == ["pipelines", "$sources"]
    assert list(shown["pipelines"]) == ["chat"]


@pytest.mark.parametrize("kind", ["toml", "pyproject", "json"])
def test_json_feeds_back_as_the_same_pipelines(
    kind: str, chat: Path, wspipe: Callable[..., Result]
) -> None:
    file = chat / "wspipe.toml"
    if kind == "pyproject":
        text = file.read_text().replace("[pipelines", "[tool.wspipe.pipelines")
        text = text.replace("[[routes", "[[tool.wspipe.routes")
        file.unlink()
        file = chat / "pyproject.toml"
        file.write_text("[tool.wspipe]\n" + text)
    elif kind == "json":
        data = tomllib.loads(file.read_text())
        file = chat / "chat.json"
        file.write_text(json.dumps(data))
    shown = wspipe("show", file.name, "--json")
    assert shown.exit_code == 0, shown.output
    again = chat / "again.json"
    again.write_text(shown.stdout)
    first, second = Config.load(file), Config.load(again)
    assert {name: each.pipeline for name, each in first.pipelines.items()} == {
        name: each.pipeline for name, each in second.pipelines.items()
    }
    assert [each.as_table() for each in first.routes] == [each.as_table() for each in second.routes]
    assert first.default == second.default
    sources = json.loads(shown.stdout)["$sources"]
    where = {
        "toml": "wspipe.toml:11",
        "pyproject": "pyproject.toml:12",
        "json": "chat.json, pipelines.chat.middlewares[0].token",
    }
    assert sources["pipelines.chat.middlewares[1].token"] == f"{where[kind]}, environment TOKEN"


@pytest.mark.parametrize(
    "command",
    [
        ["check"],
        ["check", "--json"],
        ["show"],
        ["show", "--json"],
        ["show", "--path", "/chat/1", "--host", "a.example.com"],
        ["schema"],
    ],
)
@pytest.mark.parametrize("fault", ["", "bogus = 1\n"])
def test_no_output_has_the_secret(
    command: list[str], fault: str, chat: Path, wspipe: Callable[..., Result]
) -> None:
    file = chat / "wspipe.toml"
    file.write_text(fault + file.read_text())
    assert "s3cr3t" not in wspipe(*command).output


def test_what_is_not_printable_in_a_name_is_escaped(
    tmp_path: Path, wspipe: Callable[..., Result]
) -> None:
    file = tmp_path / "escapes.toml"
    name = r'"\u001b[31mred\n"'
    file.write_text(
        f'default = {name}\n[pipelines.{name}]\nmiddlewares = ["Logging"]\n'
        f'[pipelines.other]\nextends = {name}\n[[routes]]\npath = "/a"\npipeline = {name}\n'
    )
    for options in ([], ["--path", "/b"], ["--pipeline", "other"]):
        printed = wspipe("show", str(file), *options).stdout
        assert r"\x1b[31mred\n" in printed
        assert "\x1b" not in printed
    file.write_text(file.read_text().replace("[pipelines.other]\nextends", "#"))
    assert r"by default \x1b[31mred\n" in wspipe("check", str(file)).stdout
