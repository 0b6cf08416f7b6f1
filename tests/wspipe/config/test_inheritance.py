"""What a pipeline that extends another consists of."""

from __future__ import annotations

from typing import Any

import pytest

from wspipe.config.declarations import read
from wspipe.config.document import Document
from wspipe.config.inheritance import Inheritance
from wspipe.config.problems import Problems

BASE = {"middlewares": ["A", "B", "C"]}


def resolved(pipelines: dict[str, Any]) -> tuple[dict[str, list[str]], list[str]]:
    """Give the stages of all pipelines, and what is wrong."""
    document = Document("configuration", {"pipelines": pipelines})
    problems = Problems(document)
    inheritance = Inheritance(read(document.data, problems).pipelines, problems)
    stages = {name: [stage.use for stage in inheritance.stages_of(name)] for name in pipelines}
    return stages, [f"{each.key}: {each.message}" for each in problems]


@pytest.mark.parametrize(
    ("pipeline", "stages"),
    [
        ({}, "ABC"),
        ({"middlewares": ["D", "A"]}, "ABCDA"),
        ({"without": ["B"]}, "AC"),
        ({"without": ["A", "C"], "middlewares": ["A"]}, "BA"),
        ({"middlewares": [{"use": "D", "before": "A"}]}, "DABC"),
        ({"middlewares": [{"use": "D", "after": "B"}]}, "ABDC"),
        ({"middlewares": [{"use": "D", "replace": "B"}]}, "ADC"),
        ({"middlewares": ["D", {"use": "E", "before": "D"}]}, "ABCED"),
        ({"middlewares": [{"use": "D", "before": "A"}, {"use": "E", "replace": "D"}]}, "EABC"),
    ],
)
def test_it_has_the_stages_of_the_one_it_extends(pipeline: dict[str, Any], stages: str) -> None:
    found, problems = resolved({"own": {"extends": "base", **pipeline}, "base": BASE})
    assert found == {"own": list(stages), "base": ["A", "B", "C"]}
    assert problems == []


def test_inherited_stages_are_the_very_same() -> None:
    document = Document("x", {"pipelines": {"own": {"extends": "base"}, "base": BASE}})
    problems = Problems(document)
    inheritance = Inheritance(read(document.data, problems).pipelines, problems)
    pairs = zip(inheritance.stages_of("own"), inheritance.stages_of("base"), strict=True)
    assert all(own is base for own, base in pairs)


def test_a_long_chain_is_no_matter() -> None:
    pipelines: dict[str, Any] = {
        f"p{i}": {"extends": f"p{i + 1}", "middlewares": [f"S{i}"]} for i in range(3000)
    }
    found, problems = resolved({**pipelines, "p3000": {}})
    assert problems == []
    assert found["p0"] == [f"S{i}" for i in reversed(range(3000))]


@pytest.mark.parametrize(
    ("pipelines", "problems"),
    [
        (
            {"chat": {"extends": "bas"}, "base": {}},
            [
                (
                    'pipelines.chat.extends: there is no other pipeline "bas"; '
                    'did you mean "base"? there is only "base"'
                )
            ],
        ),
        ({"a": {"extends": "a"}}, ['pipelines.a.extends: goes in a circle: "a" extends "a"']),
        (
            {"base": BASE, "chat": {"extends": "base", "without": ["D", "A"]}},
            [
                (
                    'pipelines.chat.without[0]: the pipeline has so far no stage "D"; '
                    'there are "A", "B" and "C"'
                )
            ],
        ),
        (
            {"chat": {"middlewares": [{"use": "A", "after": "B"}]}},
            [
                (
                    'pipelines.chat.middlewares[0].after: the pipeline has so far no stage "B"; '
                    "there is none"
                )
            ],
        ),
        (
            {"chat": {"middlewares": ["A", "A", {"use": "B", "replace": "A"}]}},
            [
                (
                    'pipelines.chat.middlewares[2].replace: the pipeline has 2 stages "A" so far; '
                    "which one is meant cannot be told"
                )
            ],
        ),
        # What is missing may be in what cannot be known.
        (
            {"chat": {"extends": "nobody", "without": ["A"]}},
            ['pipelines.chat.extends: there is no other pipeline "nobody"; there is none'],
        ),
    ],
)
def test_what_is_wrong(pipelines: dict[str, Any], problems: list[str]) -> None:
    assert resolved(pipelines)[1] == problems


def test_a_circle_is_told_once_whatever_leads_there() -> None:
    found, problems = resolved(
        {
            "first": {"extends": "a", "without": ["X"]},
            "a": {"extends": "b", "middlewares": ["A"]},
            "b": {"extends": "a"},
            "second": {"extends": "first"},
        }
    )
    assert problems == ['pipelines.b.extends: goes in a circle: "a" extends "b" extends "a"']
    assert set(found) == {"first", "a", "b", "second"}
