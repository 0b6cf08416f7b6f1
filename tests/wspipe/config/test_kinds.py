"""The kinds of values that options take: how a file says them, and how it is told what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from math import inf
from pathlib import PurePosixPath
from typing import Annotated, Any, Final, Literal, NamedTuple, Protocol

import pytest
from msgspec import Meta
from typing_extensions import TypeAliasType

from wspipe.config.environment import Secret
from wspipe.config.kinds import Kind
from wspipe.config.objects import UnfitValue
from wspipe.config.schemas import reference_to


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True)
class Point:
    x: int
    y: int = 0


@dataclass(frozen=True)
class Refusing:
    x: int

    def __post_init__(self) -> None:
        raise ValueError("no")


class Clock:
    def __init__(self, ticks: int = 0) -> None:
        if ticks < 0:
            raise ValueError("a clock goes\nforward")
        self.ticks = ticks


class Ticking(Protocol):
    ticks: int


class Pair(NamedTuple):
    first: int
    second: str


def function(_: int) -> int:
    return 0


clock = Clock()
HERE = __name__


@pytest.mark.parametrize(
    ("annotation", "value", "made"),
    [
        (int, 5, 5),
        (int, Secret("5", "${N}"), 5),
        (float, 5, 5.0),
        (float, Secret("0.5", "${N}"), 0.5),
        (bool, True, True),
        (bool, Secret("true", "${N}"), True),
        (str, "5", "5"),
        (str, Secret("5", "${N}"), "5"),
        (str | None, None, None),
        (str | None, "none", "none"),
        (int | None, "none", None),
        (int | None, Secret("none", "${N}"), None),
        (float | int | None, "none", None),
        (tuple[int, ...], [1, 2], (1, 2)),
        (tuple[int, str], [1, "a"], (1, "a")),
        (frozenset[str], ["a", "a"], frozenset({"a"})),
        (list[str], ["a"], ["a"]),
        (Mapping[int, str], {"1": "a"}, {1: "a"}),
        (int | tuple[int, ...], [1], (1,)),
        (Literal["low", "high"], "low", "low"),
        (Literal["low"] | Callable[[int], int], "low", "low"),
        (Literal["low"] | Callable[[int], int], f"{HERE}:function", function),
        (Colour, "red", Colour.RED),
        (Colour, Secret("red", "${C}"), Colour.RED),
        (Point, {"x": 1}, Point(1)),
        (datetime, "2026-01-02T03:04:05Z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        (Annotated[int, Meta(ge=1)], 1, 1),
        (Clock, f"{HERE}:clock", clock),
        (Clock | None, None, None),
        (str | Clock, "redis://host", "redis://host"),
        (str | Clock, f"{HERE}:clock", clock),
        (Ticking, f"{HERE}:clock", clock),
        (Any, f"{HERE}:clock", clock),
        (tuple[Clock, ...], [f"{HERE}:clock"], (clock,)),
        (Mapping[str, Clock], {"a": f"{HERE}:clock"}, {"a": clock}),
        (list[int], [Secret("5", "${N}"), 6], [5, 6]),
        (Mapping[str, int], {"a": Secret("5", "${N}")}, {"a": 5}),
        (Point, {"x": Secret("5", "${N}")}, Point(5)),
        (list[Point], [{"x": 1}, {"x": 2}], [Point(1), Point(2)]),
        (Annotated[list[int], Meta(min_length=1)], [1], [1]),
        (Annotated[list[Clock], Meta(max_length=9)], [f"{HERE}:clock"], [clock]),
        (Final[int], 5, 5),
        (PurePosixPath, "/tmp/a", PurePosixPath("/tmp/a")),  # noqa: S108 - only a name
        (tuple[PurePosixPath, ...], ["a"], (PurePosixPath("a"),)),
        (Annotated[Callable[[int], int], "documented"], f"{HERE}:function", function),
        (Annotated[int, {"msgspec": "knows no such"}], 5, 5),
        (dict, {"a": 1}, {"a": 1}),
        (list, [1, "a"], [1, "a"]),
    ],
)
def test_what_is_made_of_a_value(annotation: Any, value: Any, made: Any) -> None:
    result = Kind.of(annotation).convert(value)
    assert result == made
    assert isinstance(result, type(made))


@pytest.mark.parametrize("annotation", [Clock, Ticking, Any, str | Clock])
def test_a_table_makes_an_object(annotation: Any) -> None:
    made = Kind.of(annotation).convert({"use": f"{HERE}:Clock", "ticks": 3})
    assert isinstance(made, Clock)
    assert made.ticks == 3


OBJECT = 'a Clock as "module:attribute"'


@pytest.mark.parametrize(
    ("annotation", "value", "problem"),
    [
        (int, "5", 'must be a whole number, not "5"'),
        (int, 1.5, "must be a whole number, not 1.5"),
        (int, True, "must be a whole number, not true"),
        (int, Secret("x", "${N}"), 'must be a whole number, which "${N}" is not'),
        (float, "5", 'must be a number, not "5"'),
        (bool, 1, "must be true or false, not 1"),
        (str, 5, "must be a text, not 5"),
        (str, None, "must be a text, not null"),
        (datetime, 5, "must be a date and time, not 5"),
        (float, inf, "must be a number, not inf"),
        (
            Annotated[list[int], Meta(min_length=1)],
            [],
            "must be an array with a length from 1, each item of which is a whole number, not []",
        ),
        (
            Annotated[list[Clock], Meta(max_length=9)],
            [5],
            (
                "must be an array with a length up to 9, each item of which is a Clock as "
                '"module:attribute", not [5]'
            ),
        ),
        (Colour, "rde", 'must be "red" or "blue", not "rde"; did you mean "red"?'),
        (Literal[1, 2], "1", 'must be 1 or 2, not "1"'),
        (PurePosixPath, 5, "must be a path, not 5"),
        (Refusing, {"x": 1}, "cannot be used: ValueError: no"),
        (
            Refusing,
            {"x": Secret("5", "${N}")},
            "cannot be used: ValueError (its message is withheld, as it may tell what ${N} holds)",
        ),
        (Point, [], "must be a table, not []"),
        (tuple[int, str], [1], "must be an array of a whole number and a text, not [1]"),
        (
            Literal["low", "high"],
            "hihg",
            'must be "high" or "low", not "hihg"; did you mean "high"?',
        ),
        (Colour, "green", 'must be "red" or "blue", not "green"'),
        (Annotated[int, Meta(ge=1, lt=5)], 9, "must be a whole number from 1 below 5, not 9"),
        (Annotated[float, Meta(gt=1, le=5)], 9, "must be a number above 1 up to 5, not 9"),
        (Annotated[str, Meta(description="x")], 9, "must be a text, not 9"),
        (Clock, 5, f"must be {OBJECT}, not 5"),
        (Clock, "clock", f'must be {OBJECT}, not "clock"'),
        (Callable[[int], int], 5, 'must be a function as "module:attribute", not 5'),
        (Any, 5, 'must be an object as "module:attribute", not 5'),
        (str | Clock, 5, f"must be a text or {OBJECT}, not 5"),
        (
            Clock,
            f"{HERE}:function",
            f'must be {OBJECT}, not "{HERE}:function", which is <function function>',
        ),
        (
            Clock,
            f"{HERE}:Clock",
            (
                f'must be {OBJECT}, not "{HERE}:Clock", which is {Clock!r}; '
                f'to make one of the class, write {{ use = "{HERE}:Clock" }}'
            ),
        ),
        (
            Clock,
            f"{HERE}:clok",
            (
                f'"{HERE}:clok" cannot be found: module {HERE} has no clok; did you '
                f'mean "{HERE}:clock"?'
            ),
        ),
        (Clock, {"use": 5}, 'has use = 5, which must be a "module:attribute"'),
        (
            Clock,
            {"use": f"{HERE}:clock"},
            f'has use = "{HERE}:clock", which is no class to make one of',
        ),
        (
            Clock,
            {"use": f"{HERE}:Clock", "ticks": -1},
            f'"{HERE}:Clock" cannot be made: ValueError: a clock goes forward',
        ),
    ],
)
def test_what_does_not_fit(annotation: Any, value: Any, problem: str) -> None:
    with pytest.raises(UnfitValue) as caught:
        Kind.of(annotation).convert(value)
    assert str(caught.value) == problem


@pytest.mark.parametrize(
    ("annotation", "value", "path", "problem"),
    [
        (list[int], [1, "a"], (1,), 'must be a whole number, not "a"'),
        (dict[int, int], {"a": 1}, ("a",), 'must be a whole number, not "a"'),
        (dict[str, list[int]], {"a": [1.5]}, ("a", 0), "must be a whole number, not 1.5"),
        (Point, {"x": "a"}, ("x",), 'must be a whole number, not "a"'),
        (Point, {"z": 1}, ("z",), 'is no key here; there are "x" and "y"'),
        (
            list[Point],
            [{"x": 1, "yy": 2}],
            (0, "yy"),
            'is no key here; did you mean "y"? there are "x" and "y"',
        ),
    ],
)
def test_a_part_that_does_not_fit_is_told_with_its_place(
    annotation: Any, value: Any, path: tuple[str | int, ...], problem: str
) -> None:
    with pytest.raises(UnfitValue) as caught:
        Kind.of(annotation).convert(value)
    assert (caught.value.path, str(caught.value)) == (path, problem)


def test_a_text_of_the_environment_is_never_imported() -> None:
    assert Kind.of(str | Clock).convert(Secret(f"{HERE}:clock", "${C}")) == f"{HERE}:clock"


def test_what_is_allowed_and_nearest_is_told_apart_too() -> None:
    with pytest.raises(UnfitValue) as caught:
        Kind.of(Literal["low", "high"]).convert("hihg")
    assert caught.value.allowed == ("high", "low")
    assert caught.value.nearest == "high"


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (int | None, '"none" or a whole number'),
        (str | None, "a text"),
        (int | tuple[int, ...], "a whole number or an array, each item of which is a whole number"),
        (
            Mapping[int, Literal["a", "b"]],
            'a table, each key of which is a whole number and each value "a" or "b"',
        ),
        (bytes, "a text in Base64"),
    ],
)
def test_it_reads_as_what_a_person_may_give(annotation: Any, words: str) -> None:
    assert str(Kind.of(annotation)) == words


def test_a_type_that_means_nothing_is_refused() -> None:
    with pytest.raises(TypeError):
        Kind.of(Mapping[Point, int] | int | Pair | dict[str, int])


OBJECTS = {"anyOf": [reference_to("reference"), reference_to("object")]}
PLACEHOLDER = reference_to("placeholder")


@pytest.mark.parametrize(
    ("annotation", "schema"),
    [
        (str, {"type": "string"}),
        (int, {"anyOf": [{"type": "integer"}, PLACEHOLDER]}),
        (str | None, {"anyOf": [{"type": "string"}, {"type": "null"}]}),
        (frozenset[str], {"type": "array", "items": {"type": "string"}}),
        (Colour, {"anyOf": [{"enum": ["blue", "red"]}, PLACEHOLDER]}),
        (tuple[Any, ...], {"type": "array", "items": OBJECTS}),
        (Mapping[str, Any], {"type": "object", "additionalProperties": OBJECTS}),
        (
            Point,
            {
                "type": "object",
                "properties": {"x": {"anyOf": [{"type": "integer"}, PLACEHOLDER]}}
                | {"y": {"anyOf": [{"type": "integer"}, PLACEHOLDER]}},
                "required": ["x"],
            },
        ),
        (Clock, {"anyOf": [reference_to("reference"), reference_to("object")]}),
        (
            tuple[Clock, ...],
            {
                "type": "array",
                "items": {"anyOf": [reference_to("reference"), reference_to("object")]},
            },
        ),
    ],
)
def test_its_json_schema(annotation: Any, schema: dict[str, Any]) -> None:
    assert Kind.of(annotation).schema() == schema


def test_a_type_alias_is_what_it_stands_for() -> None:
    alias = TypeAliasType("alias", int | None)
    assert Kind.of(alias) == Kind.of(int | None)
    assert Kind.of(alias | str) == Kind.of(int | None | str)
