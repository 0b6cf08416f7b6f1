"""`wspipe explain`: what is measured is told whole, and what keeps from measuring is named."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest

from wspipe.cli import bench

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result

MEASURES = {"message_time", "message_bytes", "connection_time", "connection_bytes"}
TIME = r"[\d.,]+ (ns|µs|ms)"


@pytest.fixture(autouse=True)
def one_round(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "BUDGET", -1.0)


@pytest.mark.usefixtures("chat")
def test_a_table(wspipe: Callable[..., Result]) -> None:
    result = wspipe("explain", "--pipeline", "chat")
    assert (result.exit_code, result.stderr) == (0, "")
    title, headings, *rows = result.stdout.splitlines()
    assert title == "pipeline chat"
    assert headings.split("  ")[0] == "stage"
    assert re.fullmatch(r"stage +a message +bytes +a connection +bytes +", headings)
    *stages, whole, base = rows
    for row, name in zip(stages, ["StateValidation", "Logging", "Origin"], strict=True):
        assert re.fullmatch(rf"{name} +{TIME} +\d+ % +\d+ +{TIME} +\d+ % +\d+ +", row)
    assert re.fullmatch(rf"all stages +{TIME} +100 % +\d+ +{TIME} +100 % +\d+ +", whole)
    assert re.fullmatch(rf"without wspipe +{TIME} +\d+ +{TIME} +\d+ +", base)


@pytest.mark.usefixtures("chat")
def test_as_json(wspipe: Callable[..., Result]) -> None:
    found = json.loads(wspipe("explain", "--json").stdout)
    assert list(found) == ["pipeline", "stages", "all", "without_wspipe"]
    assert found["pipeline"] == "base"
    assert [stage["stage"] for stage in found["stages"]] == ["StateValidation", "Logging"]
    assert set(found["without_wspipe"]) == {"stage", *MEASURES}
    assert set(found["all"]) == MEASURES
    for measure in MEASURES:
        whole = sum(stage[measure] for stage in found["stages"])
        assert found["all"][measure] == pytest.approx(whole)
        if whole:
            shares = [stage["percent"][measure] for stage in found["stages"]]
            assert sum(shares) == pytest.approx(100)


def test_a_picture(chat: Path, wspipe: Callable[..., Result]) -> None:
    result = wspipe("explain", "--plot", "costs.svg")
    assert result.exit_code == 0
    assert result.stdout.startswith("pipeline base\n")
    svg = ET.parse(chat / "costs.svg").getroot()  # noqa: S314 - our own
    assert svg.get("aria-label") == "pipeline base"


@pytest.mark.usefixtures("chat")
def test_a_picture_that_cannot_be_written(wspipe: Callable[..., Result]) -> None:
    result = wspipe("explain", "--plot", "no/costs.svg")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "wspipe: no/costs.svg cannot be written: no such file or directory\n"


@pytest.mark.usefixtures("chat")
def test_the_stages_see_the_connection_that_is_asked_for(wspipe: Callable[..., Result]) -> None:
    result = wspipe("explain", "--path", "/chat/a%20b?x=1", "--host", "eu.example.com", "--json")
    assert json.loads(result.stdout)["pipeline"] == "chat"
    scopes: list[Any] = sys.modules["room_parts"].SEEN
    assert {(each["path"], each["query_string"]) for each in scopes} == {("/chat/a b", b"x=1")}
    assert scopes[0]["headers"] == [(b"host", b"eu.example.com")]


def test_a_connection_that_gets_no_pipeline(chat: Path, wspipe: Callable[..., Result]) -> None:
    file = chat / "wspipe.toml"
    file.write_text(file.read_text().replace('default = "base"\n', ""))
    result = wspipe("explain", "--path", "/other")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        "wspipe: no route matches /other, and there is no default: it gets no pipeline to measure\n"
    )


def test_no_default_pipeline(chat: Path, wspipe: Callable[..., Result]) -> None:
    file = chat / "wspipe.toml"
    file.write_text(file.read_text().replace('default = "base"\n', ""))
    result = wspipe("explain")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        "wspipe.toml: error: has no default pipeline; name one of its pipelines\n"
    )


def test_a_stage_that_is_in_the_way_is_named_without_the_secret(
    chat: Path, wspipe: Callable[..., Result]
) -> None:
    file = chat / "wspipe.toml"
    file.write_text(file.read_text().replace("token =", "fails = true\ntoken ="))
    result = wspipe("explain", "--pipeline", "chat")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        "wspipe: Origin does not let itself be measured; what it said is withheld, as it may tell "
        "what the environment holds\n"
    )


def test_an_application_is_imported_first(chat: Path, wspipe: Callable[..., Result]) -> None:
    (chat / "site.py").unlink(missing_ok=True)
    (chat / "chat_site.py").write_text(
        "import room_parts\n"
        "room_parts.Origin.fails = True\n"
        "async def app(scope, receive, send): ...\n"
    )
    result = wspipe("explain", "--app", "chat_site:app", "--json")
    assert result.exit_code == 0
    assert "chat_site" in sys.modules
    result = wspipe("explain", "--app", "chat_site:ap")
    assert result.exit_code == 2
    assert result.stderr == 'wspipe: Attribute "ap" not found in module "chat_site".\n'


def test_a_broken_configuration_is_refused(here: Path, wspipe: Callable[..., Result]) -> None:
    (here / "wspipe.toml").write_text("")
    result = wspipe("explain")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        "wspipe.toml: error: there is no pipeline; give one, as a table such as [pipelines.main]\n"
    )


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--plot", "costs.png"], "--plot costs.png must end in .svg, which is what it draws"),
        (["--path", "chat"], "--path chat must begin with a slash"),
    ],
)
def test_what_makes_no_sense_is_misuse(
    wspipe: Callable[..., Result], chat: Path, options: list[str], problem: str
) -> None:
    result = wspipe("explain", *options)
    assert (result.exit_code, result.stderr) == (2, f"wspipe: {problem}\n")
    assert list(chat.glob("costs.*")) == []


def test_a_stage_that_is_in_the_way_says_why(wspipe: Callable[..., Result], chat: Path) -> None:
    (chat / "in_the_way.py").write_text(
        "from wspipe import on_receive\n\n"
        "@on_receive\ndef fail(event, connection):\n    raise ValueError('no')\n"
    )
    (chat / "wspipe.toml").write_text('[pipelines.main]\nmiddlewares = ["in_the_way:fail"]\n')
    result = wspipe("explain")
    assert result.exit_code == 1
    assert "is in the way of the measurement: it raised ValueError('no')" in result.stderr
