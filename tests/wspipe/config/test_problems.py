"""How a problem reads, for people and for machines."""

from __future__ import annotations

from typing import Any

import pytest

from wspipe.config import ConfigurationError, Problem
from wspipe.config.document import Document
from wspipe.config.positions import Position
from wspipe.config.problems import Problems, dotted, listed, nearest_to, shown


@pytest.mark.parametrize(
    ("problem", "line"),
    [
        (Problem("is wrong"), "is wrong"),
        (Problem("is wrong", source="a.toml"), "a.toml: is wrong"),
        (Problem("is wrong", ("a", 1, "b"), "a.toml"), "a.toml: a[1].b: is wrong"),
        (
            Problem("is wrong", ("a",), "a.toml", Position(3, 7)),
            "a.toml:3:7: a: is wrong",
        ),
        (
            Problem("is odd", ("a",), "a.toml", Position(3, 7), level="warning"),
            "a.toml:3:7: warning: a: is odd",
        ),
    ],
)
def test_a_problem_is_a_line(problem: Problem, line: str) -> None:
    assert str(problem) == line


def test_a_problem_for_a_machine() -> None:
    problem = Problem("is wrong", ("a", 0), "a.toml", Position(3, 7), '"x"', ("y", "z"), "y")
    assert problem.as_dict() == {
        "level": "error",
        "file": "a.toml",
        "line": 3,
        "column": 7,
        "key": "a[0]",
        "message": "is wrong",
        "given": '"x"',
        "allowed": ["y", "z"],
        "nearest": "y",
    }
    assert Problem("is wrong").as_dict()["line"] is None


def test_an_error_has_a_line_for_each() -> None:
    error = ConfigurationError([Problem("one", source="a"), Problem("two", source="a")])
    assert str(error) == "a: one\na: two"
    assert len(error.problems) == 2


def test_problems_are_in_the_order_of_the_source() -> None:
    problems = Problems(Document("configuration", {"b": 1, "a": {"c": 1, "d": 2}}))
    assert not problems
    problems.raise_if_any()
    problems.add(("a", "d"), "third")
    problems.add(("a", "c"), "second")
    problems.add(("b",), "first", given=5)
    assert (bool(problems), len(problems)) == (True, 3)
    assert [each.message for each in problems] == ["first", "second", "third"]
    with pytest.raises(ConfigurationError) as caught:
        problems.raise_if_any()
    assert str(caught.value).splitlines()[0] == "configuration: b: first"
    assert caught.value.problems[0].given == "5"


@pytest.mark.parametrize(
    ("name", "allowed", "message"),
    [
        ("chta", ["chat", "base"], 'no "chta"; did you mean "chat"? there are "base" and "chat"'),
        ("CHAT", ["chat", "base"], 'no "CHAT"; did you mean "chat"? there are "base" and "chat"'),
        ("zzz", ["chat", "base"], 'no "zzz"; there are "base" and "chat"'),
        ("zzz", ["chat"], 'no "zzz"; there is only "chat"'),
        ("zzz", [], 'no "zzz"; there is none'),
    ],
)
def test_a_name_that_there_is_not(name: str, allowed: list[str], message: str) -> None:
    problems = Problems(Document("x", {}))
    problems.unknown((), "no", name, allowed)
    (problem,) = problems
    assert problem.message == message
    assert problem.allowed == tuple(sorted(allowed))


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ((), ""),
        (("a", "b"), "a.b"),
        (("a", 0, 1, "b-1"), "a[0][1].b-1"),
        (("a b", 'c"', "é", ""), '"a b"."c\\""."é".""'),
    ],
)
def test_a_path_is_written_as_in_toml(path: tuple[str | int, ...], text: str) -> None:
    assert dotted(path) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", '"a"'),
        (True, "true"),
        (1.5, "1.5"),
        (float("inf"), "inf"),
        (["é", {"a": None}], '["é", {"a": null}]'),
        ("x" * 100, '"' + "x" * 79 + "…"),
        ("a\n\x1b[31m\u2028", r'"a\n\u001b[31m\u2028"'),
        ({(1, 2): 3}, "a table"),
        (ValueError("a"), '"a"'),
    ],
)
def test_a_value_is_written_as_in_a_file(value: Any, text: str) -> None:
    assert shown(value) == text


def test_names_are_listed() -> None:
    assert listed(["a"]) == "a"
    assert listed(["a", "b"]) == "a and b"
    assert listed(iter("abc"), "or") == "a, b or c"


def test_the_nearest_name() -> None:
    assert nearest_to("ratelimit", ["Drain", "RateLimit"]) == "RateLimit"
    assert nearest_to("zzz", ["Drain", "RateLimit"]) is None
