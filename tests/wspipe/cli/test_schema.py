"""`wspipe schema`: it takes what `wspipe check` takes, and no value of a wrong type."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping  # noqa: TC003 - configuration reads the types
from dataclasses import dataclass
from enum import Enum
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from msgspec import Meta

from wspipe import Composable
from wspipe.cli.schema import schema_of
from wspipe.config import Config, ConfigurationError, Plugin, Registry
from wspipe.config.objects import UnfitValue

if TYPE_CHECKING:
    from collections.abc import Callable

    from click.testing import Result

    from wspipe import ASGIConnection, Receive, Send

EXAMPLES = Path(__file__).parents[3] / "examples"


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True)
class Tree:
    label: str
    leaves: tuple[Tree, ...] = ()


class Place:
    """Something that a file can only name."""


here = Place()


@dataclass(frozen=True)
class Exotic(Composable):
    """Takes what no middleware of ours takes.

    Args:
        colour: Any colour.
    """

    colour: Colour = Colour.RED
    colours: frozenset[Colour] = frozenset()
    tree: Tree | None = None
    places: tuple[Place, ...] = ()
    by_name: Mapping[str, Place] | None = None
    pair: tuple[int, str] = (1, "one")
    lower: Annotated[str, Meta(pattern="^[a-z]+$")] = "a"
    anything: tuple[Any, ...] = ()
    level: Literal["low", "high"] | int = "low"

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        return receive, send


@dataclass(frozen=True)
class Needing(Composable):
    what: str

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        return receive, send


def plugin(kind: type[Any]) -> Plugin:
    """Offer a class of this module, as a package would."""
    return Plugin(EntryPoint(kind.__name__, f"{__name__}:{kind.__name__}", "wspipe.middlewares"))


REGISTRY = Registry([*Registry.installed(), plugin(Exotic), plugin(Needing)])
SCHEMA = Draft202012Validator(schema_of(REGISTRY))
REQUIRED = {"RateLimit": {"rate": "5/second"}, "Needing": {"what": "it"}}
OPTIONS = [
    pytest.param(each, option, id=f"{each.name}.{option}")
    for each in REGISTRY
    for option in each.options
]
ENVIRONMENT = {"N": "3", "NAME": "low", "COLOUR": "red"}


def stage(name: str, /, **options: Any) -> dict[str, Any]:
    return {"use": name, **REQUIRED.get(name, {}), **options}


def configured(*stages: Any, **more: Any) -> dict[str, Any]:
    return {"pipelines": {"main": {"middlewares": list(stages)}}, **more}


def check_takes(data: Any) -> bool:
    try:
        Config.load(data, registry=REGISTRY, environment=ENVIRONMENT)
    except ConfigurationError:
        return False
    return True


def test_it_is_a_schema(wspipe: Callable[..., Result]) -> None:
    result = wspipe("schema")
    assert result.exit_code == 0
    printed = json.loads(result.stdout)
    Draft202012Validator.check_schema(printed)
    assert printed["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert printed == schema_of(Registry.installed())
    Draft202012Validator.check_schema(SCHEMA.schema)


@pytest.mark.parametrize("file", sorted(EXAMPLES.rglob("wspipe.toml")), ids=str)
def test_the_examples_are_valid(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(EXAMPLES / "plugin" / "src")
    networks = Plugin(EntryPoint("Networks", "wspipe_networks:Networks", "wspipe.middlewares"))
    data = tomllib.loads(file.read_text())
    Draft202012Validator(schema_of(Registry([*REGISTRY, networks]))).validate(data)


@pytest.mark.parametrize(
    "data",
    [
        configured("Logging", "chat:plain"),
        configured(stage("chat.parts:Own", whatever=[1, {"a": 2}], before="Logging")),
        configured(stage("RateLimit", key="chat.limits:by_token", burst="${BURST}")),
        configured(stage("RateLimit", rate="${A}/${B}", proxies=["${PROXY}"], store=None)),
        configured(stage("Logging", levels={"1006": "${LEVEL}"}, redact=["a", "a"])),
        configured(stage("Tracing", carrier={"use": "a.b:C", "name": "t"}, ratio="${RATIO}")),
        configured(stage("Exotic", places=["a:b", {"use": "a:C"}], by_name={"x": "a:b"})),
        configured(stage("Exotic", tree={"label": "a", "leaves": [{"label": "b"}]})),
        configured(stage("Exotic", colours=["red", "${COLOUR}"], lower="${LOWER}")),
        configured(default="main", **{"$schema": "x.json", "$sources": {}}),
        configured(routes=[{"path": "/", "host": "*.a.org", "pipeline": "m", "cookies": True}]),
        {"pipelines": {"a": {"extends": "b", "without": ["Logging"]}, "b": {}}},
        configured(*(stage("Logging", **{place: "Metrics"}) for place in ("before", "replace"))),
    ],
)
def test_what_a_file_may_say_is_valid(data: Any) -> None:
    SCHEMA.validate(data)


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"pipelines": []},
        {"pipelines": {"main": []}},
        {"pipelines": {"main": {"middleware": []}}},
        {"pipelines": {"main": {"extend": "base"}}},
        {"pipelines": {"main": {"without": "Logging"}}},
        {"pipelines": {}, "route": []},
        configured(default=1),
        configured("Loging"),
        configured("RateLimit"),
        configured(stage("Loging")),
        configured({"messages": True}),
        configured({"use": "RateLimit"}),
        configured(stage("Logging", mesages=True)),
        configured(stage("Logging", before=1)),
        configured(routes=[{"path": "/"}]),
        configured(routes=[{"pipeline": "main"}]),
        configured(routes=[{"path": "chat", "pipeline": "main"}]),
        configured(routes=[{"path": "/", "pipeline": "main", "hosts": "a"}]),
        configured(routes=[{"path": "/", "pipeline": "main", "cookies": "yes"}]),
        configured(routes={"path": "/", "pipeline": "main"}),
    ],
)
def test_what_is_mistyped_is_not_valid(data: Any) -> None:
    assert not SCHEMA.is_valid(data)
    assert not check_takes(data)


# The schema is made without the types of keys.
LAX = {"Recovery.closes": [{"x": 5}]}
WRONG = [5, 1.5, True, "text", [], ["text"], [5], [[]], {}, {"x": 5}, {"x": {}}, None]


@pytest.mark.parametrize(("of", "option"), OPTIONS)
def test_a_value_of_a_wrong_type_is_not_valid(of: Plugin, option: str) -> None:
    kind = of.options[option].kind
    taken = []
    for value in WRONG:
        try:
            kind.convert(value)
        except UnfitValue:
            is_right = False
        else:
            is_right = True
        if value not in LAX.get(f"{of.name}.{option}", ()):
            shown = SCHEMA.is_valid(configured(stage(of.name, **{option: value})))
            assert shown is is_right, value
        taken.append(is_right)
    assert not all(taken)


@pytest.mark.parametrize(("of", "option"), OPTIONS)
def test_a_mistyped_option_is_not_valid(of: Plugin, option: str) -> None:
    assert not SCHEMA.is_valid(configured(stage(of.name, **{f"{option}x": "${N}"})))


TEXTS = st.sampled_from(
    ["${N}", "${NAME}", "${COLOUR}", "red", "low", "a", "5/second", "/a", "text", "Logging"]
)
SCALARS = st.none() | st.booleans() | st.integers(-3, 5) | st.floats(0, 2) | TEXTS
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["label", "leaves", "a", "1006", "use"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)
STAGES = st.one_of(
    st.sampled_from(REGISTRY.names),
    st.one_of(
        [
            st.dictionaries(
                st.sampled_from([*each.options, "before", "after", "replace"]),
                VALUES,
                max_size=2,
            ).map(lambda options, name=each.name: stage(name, **options))
            for each in REGISTRY
        ]
    ),
    VALUES,
)
ROUTES = st.lists(
    st.fixed_dictionaries(
        {"path": TEXTS, "pipeline": st.just("main")}, optional={"cookies": SCALARS, "host": TEXTS}
    ),
    max_size=2,
)
FILES = st.fixed_dictionaries(
    {
        "pipelines": st.fixed_dictionaries(
            {"main": st.fixed_dictionaries({"middlewares": st.lists(STAGES, max_size=2)})}
        )
    },
    optional={"default": st.sampled_from(["main", 1]), "routes": ROUTES},
)


@given(FILES)
def test_what_check_takes_is_valid(data: Any) -> None:
    if check_takes(data):
        SCHEMA.validate(data)


@given(st.sampled_from([param.values for param in OPTIONS]), VALUES)
def test_a_value_that_check_takes_is_valid(of_option: tuple[Plugin, str], value: Any) -> None:
    of, option = of_option
    data = configured(stage(of.name, **{option: value}))
    if check_takes(data):
        SCHEMA.validate(data)


def test_each_option_is_described_with_its_default() -> None:
    items = SCHEMA.schema["$defs"]["pipeline"]["properties"]["middlewares"]["items"]["anyOf"]
    stages = {
        each["properties"]["use"]["const"]: each
        for each in items
        if "const" in each.get("properties", {}).get("use", {})
    }
    assert list(stages) == REGISTRY.names
    limit = stages["RateLimit"]
    assert limit["required"] == ["use", "rate"]
    assert limit["description"].startswith("Limit ")
    assert limit["properties"]["ipv6_prefix"]["default"] == 64
    assert limit["properties"]["ipv6_prefix"]["description"]
    assert "default" not in limit["properties"]["rate"]
    assert stages["Exotic"]["properties"]["colour"]["description"] == "Any colour."
    assert "default" not in stages["Exotic"]["properties"]["colour"]
