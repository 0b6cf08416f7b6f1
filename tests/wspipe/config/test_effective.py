"""A configuration with every value, and where each came from."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from wspipe import Composable
from wspipe.config import Config
from wspipe.config.effective import Unsayable, Value, effective, origin_of, said, values_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from wspipe import ASGIConnection, Receive, Send


def nothing() -> int:
    return 0


@dataclass(frozen=True)
class Every(Composable):
    """Has defaults of all kinds."""

    text: str
    number: int = 5
    names: tuple[str, ...] = ("a", "b")
    some: frozenset[int] = frozenset({3, 1, 2})
    table: dict[str, str] = field(default_factory=dict[str, str])
    clock: Any = nothing
    none: int | None = None
    limit: float = float("inf")

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        return receive, send


DATE = datetime(2026, 1, 2, tzinfo=UTC)
EVERY = f"{__name__}:Every"
DEFAULTS = {
    "number": 5,
    "names": ["a", "b"],
    "some": [1, 2, 3],
    "table": {},
    "none": None,
}


def configured(*stages: Any, **more: Any) -> dict[str, Any]:
    return {"pipelines": {"main": {"middlewares": list(stages)}}, **more}


def test_values_and_their_origins() -> None:
    config = Config.load(
        configured({"use": EVERY, "text": "${B} ${A} $${C}", "names": ["${A}"], "number": 7}),
        environment={"A": "a", "B": "b"},
    )
    start = "configuration, pipelines.main.middlewares[0]"
    assert list(values_of(config, config.stages[0])) == [
        Value("text", "${B} ${A} $${C}", f"{start}.text, environment A and B"),
        Value("number", 7, f"{start}.number"),
        Value("names", ["${A}"], f"{start}.names, environment A"),
        Value("some", [1, 2, 3], "default"),
        Value("table", {}, "default"),
        Value("none", None, "default"),
    ]


def test_the_origin_in_a_file_is_a_line(tmp_path: Path) -> None:
    file = tmp_path / "wspipe.toml"
    file.write_text(f'[[pipelines.main.middlewares]]\nuse = "{EVERY}"\n\ntext = "a"\n')
    config = Config.load(file)
    assert origin_of(config, ("pipelines", "main", "middlewares", 0, "text")) == f"{file}:4"
    assert origin_of(config, ("routes",)) == f"{file}, routes"


@pytest.mark.parametrize("of", [dict, lambda data: json.loads(json.dumps(data))])
def test_it_feeds_back_as_the_same(of: Callable[[Any], Mapping[str, Any]]) -> None:
    data = {
        "default": "main",
        "pipelines": {
            "main": {"middlewares": [{"use": EVERY, "text": "${A}", "limit": 2.5}, "Logging"]},
            "chat": {"extends": "main", "without": ["Logging"], "middlewares": ["Metrics"]},
        },
        "routes": [
            {"path": "/a/{b}", "pipeline": "chat", "host": "*.example.com", "cookies": True},
            {"path": "/*", "pipeline": "main"},
        ],
    }
    environment = {"A": "s3cr3t"}
    config = Config.load(data, environment=environment)
    whole = effective(config)
    assert "s3cr3t" not in json.dumps(whole)
    again = Config.load(of(whole), environment=environment)
    assert {name: each.pipeline for name, each in again.pipelines.items()} == {
        name: each.pipeline for name, each in config.pipelines.items()
    }
    assert whole["routes"] == data["routes"]
    repeated = effective(again)
    del whole["$sources"], repeated["$sources"]
    assert repeated == whole


def test_some_pipelines_without_routes() -> None:
    data = {
        "default": "main",
        "pipelines": {"main": {}, "chat": {"middlewares": [{"use": EVERY, "text": "a"}]}},
        "routes": [{"path": "/", "pipeline": "chat"}],
    }
    config = Config.load(data)
    stage = {"use": EVERY, "text": "a", **DEFAULTS}
    whole = effective(config, [config.pipelines["chat"]])
    sources = whole.pop("$sources")
    assert whole == {"pipelines": {"chat": {"middlewares": [stage]}}}
    start = "pipelines.chat.middlewares[0]"
    assert sources == {
        start: f"configuration, {start}",
        f"{start}.text": f"configuration, {start}.text",
        **{f"{start}.{name}": "default" for name in DEFAULTS},
    }
    assert effective(config, [config.pipelines["main"]])["default"] == "main"


def test_without_a_default_there_is_none() -> None:
    config = Config.load({"pipelines": {"a": {}, "b": {}}})
    assert effective(config) == {
        "pipelines": {"a": {"middlewares": []}, "b": {"middlewares": []}},
        "routes": [],
        "$sources": {},
    }


@pytest.mark.parametrize(
    ("value", "as_written"),
    [
        (None, None),
        (("a", 1), ["a", 1]),
        (frozenset({"b", "a"}), ["a", "b"]),
        (frozenset({"b", 1, "a"}), [1, "a", "b"]),
        ({1: {"a": ()}}, {"1": {"a": []}}),
        (2**63 - 1, 2**63 - 1),
    ],
)
def test_what_a_file_can_say(value: Any, as_written: Any) -> None:
    assert said(value) == as_written


@pytest.mark.parametrize(
    "value", [nothing, [nothing], {"a": object()}, 2**64, b"a", DATE, float("nan")]
)
def test_what_a_file_cannot_say(value: Any) -> None:
    with pytest.raises(Unsayable):
        said(value)
