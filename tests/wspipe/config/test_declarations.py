"""The shape of a configuration: what is read of it, and what is wrong with it."""

from __future__ import annotations

from typing import Any

import pytest

from wspipe.config.declarations import (
    Declarations,
    PipelineDeclaration,
    RouteDeclaration,
    StageDeclaration,
    read,
)
from wspipe.config.document import Document
from wspipe.config.patterns import HostPattern, PathPattern
from wspipe.config.problems import Problems

STAGES = ("pipelines", "chat", "middlewares")


def declared(data: dict[str, Any]) -> tuple[Declarations, list[str]]:
    problems = Problems(Document("configuration", data))
    found = read(data, problems)
    return found, [f"{each.key}: {each.message}" for each in problems]


def test_all_that_may_be_declared() -> None:
    found, problems = declared(
        {
            "$schema": "wspipe.json",
            "$sources": {},
            "default": "chat",
            "pipelines": {
                "base": {},
                "chat": {
                    "extends": "base",
                    "without": ["A"],
                    "middlewares": [
                        "B",
                        {"use": "C", "rate": 5, "table": {"use": "m:D"}},
                        {"use": "D", "before": "B"},
                    ],
                },
            },
            "routes": [
                {"path": "/a/{b}", "pipeline": "chat", "host": "*.example.com", "cookies": True},
                {"path": "/", "pipeline": "base"},
            ],
        }
    )
    assert problems == []
    assert found == Declarations(
        "chat",
        {
            "base": PipelineDeclaration("base", ("pipelines", "base"), None, (), ()),
            "chat": PipelineDeclaration(
                "chat",
                ("pipelines", "chat"),
                "base",
                ("A",),
                (
                    StageDeclaration("B", {}, "chat", (*STAGES, 0)),
                    StageDeclaration(
                        "C", {"rate": 5, "table": {"use": "m:D"}}, "chat", (*STAGES, 1)
                    ),
                    StageDeclaration("D", {}, "chat", (*STAGES, 2), "before", "B"),
                ),
            ),
        },
        (
            RouteDeclaration(
                PathPattern.parse("/a/{b}"),
                HostPattern.parse("*.example.com"),
                "chat",
                cookies=True,
                at=("routes", 0),
            ),
            RouteDeclaration(PathPattern.parse("/"), None, "base", cookies=False, at=("routes", 1)),
        ),
    )
    assert [route.as_table() for route in found.routes] == [
        {"path": "/a/{b}", "pipeline": "chat", "host": "*.example.com", "cookies": True},
        {"path": "/", "pipeline": "base"},
    ]


def test_what_is_wrong_is_left_out_and_the_rest_is_read() -> None:
    found, problems = declared(
        {
            "pipelines": {"main": {"middlewares": ["A", 5, {"rate": 1}, "B"], "without": [1, "C"]}},
            "routes": [{"path": "no", "pipeline": "main"}, 5, {"path": "/", "pipeline": "main"}],
        }
    )
    assert [stage.use for stage in found.pipelines["main"].stages] == ["A", "B"]
    assert found.pipelines["main"].without == ("C",)
    assert [route.path.text for route in found.routes] == ["/"]
    assert [each.partition(":")[0] for each in problems] == [
        "pipelines.main.middlewares[1]",
        "pipelines.main.middlewares[2]",
        "pipelines.main.without[0]",
        "routes[0].path",
        "routes[1]",
    ]


def test_a_key_of_a_dictionary_that_is_no_text() -> None:
    _, problems = declared({"pipelines": {"main": {5: 1}}})
    assert problems == ["pipelines.main: has the key 5, which must be a text"]


@pytest.mark.parametrize(
    ("one", "other", "whether"),
    [
        ({"path": "/*"}, {"path": "/a"}, True),
        ({"path": "/a"}, {"path": "/*"}, False),
        ({"path": "/*"}, {"path": "/a", "host": "a.org"}, True),
        ({"path": "/*", "host": "a.org"}, {"path": "/a"}, False),
        ({"path": "/*", "host": "*.a.org"}, {"path": "/a", "host": "b.a.org"}, True),
        ({"path": "/*", "host": "b.a.org"}, {"path": "/a", "host": "*.a.org"}, False),
    ],
)
def test_a_route_that_covers_another(
    one: dict[str, Any], other: dict[str, Any], *, whether: bool
) -> None:
    routes = [{**each, "pipeline": "main"} for each in (one, other)]
    found, problems = declared({"pipelines": {"main": {}}, "routes": routes})
    assert problems == []
    first, second = found.routes
    assert first.covers(second) is whether
