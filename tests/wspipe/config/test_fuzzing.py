"""Configurations that are broken at random: they load, or say what is wrong, and nothing else."""

from __future__ import annotations

import copy
import json
import math
import os
import re
import tomllib
from datetime import UTC, datetime
from functools import reduce
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from wspipe.cli import command
from wspipe.config import Config, ConfigurationError, Registry
from wspipe.config.effective import effective
from wspipe.config.review import review

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from wspipe.config import Problem

FACTOR: Final = int(os.environ.get("WSPIPE_FUZZING", "1"))
"""How many times as many examples to try, for a long run by hand."""

PASSWORD: Final = "opensesame"  # noqa: S105 - opens nothing
ENVIRONMENT: Final = {
    "RATE": "20/second",
    "STORE": f"redis://:{PASSWORD}@localhost",
    "STRICT": "true",
}
REGISTRY: Final = Registry.installed()
MODULES: Final = Path(__file__).parent / "broken"

SEEDS: Final = (
    """
default = "chat"

[pipelines.base]
middlewares = [
  { use = "StateValidation", strict = "${STRICT}" },
  "Logging",
  { use = "Tracing", messages = "all", carrier = { use = "chat_parts:Envelope", name = "t" } },
]

[pipelines.chat]
extends = "base"
without = ["Tracing"]
middlewares = [
  "chat_parts:house",
  { use = "RateLimit", rate = "${RATE}", burst = 5, key = "chat_parts:key", store = "${STORE}" },
  { use = "Drain", deadline = 1.5, before = "chat_parts:house" },
]

[[routes]]
path = "/chat/{room}"
host = "*.example.com"
pipeline = "chat"
cookies = true

[[routes]]
path = "/**"
pipeline = "base"
""",
    """
[[pipelines.main.middlewares]]
use = "Logging"
messages = true # each of them
preview = 0x10
headers = ['origin', "user-agent"]
redact = ["token"]

[pipelines.main.middlewares.levels]
1006 = "debug"

[[pipelines.main.middlewares]]
use = "Metrics"
close_codes = [4000, 4_001]
send_duration = true

[[pipelines.main.middlewares]]
use = 'RateLimit'
rate = \"\"\"20/second; \\
  500/minute\"\"\"
burst = [5, 50]
cost = "bytes"
on_limit = "close"
proxies = ["10.0.0.0/8", "unix"]
""",
    """
"$schema" = "wspipe.schema.json"
pipelines.a.middlewares = ["Logging"]
pipelines.b = { extends = "a", middlewares = [{ use = "Drain", before = "Logging" }] }
pipelines."c d" = { extends = "b", without = ["Drain"] }
routes = [{ path = "/a", pipeline = "a" }, { path = "/{b}/*", pipeline = "c d" }]
""",
)
TABLES: Final = tuple(tomllib.loads(seed) for seed in SEEDS)
VOCABULARY: Final = sorted(
    {word for seed in SEEDS for word in seed.replace('"', " ").split() if ":" not in word}
)

WORD: Final = re.compile(r"(?<![\w.])[\w./]+(?![\w.])")

Keys: TypeAlias = tuple[Any, ...]


def at_random(examples: int) -> Callable[[Any], Any]:
    return settings(
        derandomize=FACTOR == 1, database=None, deadline=None, max_examples=examples * FACTOR
    )


# No colon, so that no mutation names what it should not import.
texts = st.text(
    st.one_of(
        st.sampled_from("abc01 ./*{}[]$=\"'#,-_\\\n\t\r\0\u202e\ud800é\U0001f600"), st.characters()
    ).filter(lambda character: character != ":"),
    max_size=6,
)
words = st.one_of(texts, st.sampled_from(VOCABULARY), st.just(""), st.just("${NOTHING}"))
scalars = st.one_of(
    words,
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.sampled_from([2**64, 1e300, math.nan, math.inf, 0]),
    st.sampled_from([1, -1]).map(lambda sign: sign * 10**5000),
    st.just(datetime(2030, 1, 1, tzinfo=UTC)),
    st.binary(max_size=2),
    st.sampled_from([{1}, object, math.sin]),
)
keys = st.one_of(words, words, st.none(), st.integers(), st.tuples(st.integers()), st.booleans())
plain_values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner),
        st.dictionaries(keys, inner, max_size=3),
        st.fixed_dictionaries({"use": inner}),
    ),
    max_leaves=5,
)
deep_values = st.builds(
    lambda depth, nest: reduce(lambda inner, _: nest(inner), range(depth), 1),
    st.sampled_from([50, 60, 70, 400, 3000]),
    st.sampled_from([lambda inner: [inner], lambda inner: {"a": inner}]),
)
values = st.integers(0, 19).flatmap(lambda n: plain_values if n < 19 else deep_values)


@st.composite
def mutated_texts(draw: st.DrawFn) -> str:
    text = draw(st.sampled_from(SEEDS))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(text)))
        lines = text.splitlines(keepends=True) or [""]
        line, other = (draw(st.integers(0, len(lines) - 1)) for _ in "ab")
        match draw(st.integers(0, 9)):
            case 0:
                text = text[:at] + text[at + draw(st.integers(1, 9)) :]
            case 1:
                text = text[:at] + draw(words) + text[at:]
            case 2:
                text = text[:at] + text[at : at + 2][::-1] + text[at + 2 :]
            case 3:
                text = text[:at]
            case 4:
                del lines[line]
                text = "".join(lines)
            case 5:
                lines[line], lines[other] = lines[other], lines[line]
                text = "".join(lines)
            case 6:
                lines.insert(other, lines[line])
                text = "".join(lines)
            case _:  # what leaves it TOML, mostly
                text = text[:at] + WORD.sub(
                    lambda _: draw(st.sampled_from(VOCABULARY)), text[at:], count=1
                )
    return text


def _paths(value: Any, path: Keys = ()) -> Iterator[Keys]:
    """Give the paths of all that is in tables and arrays that can be changed."""
    if isinstance(value, dict):
        items = list(value.items())
    else:
        items = list(enumerate(value)) if isinstance(value, list) else []
    for key, each in items:
        yield (*path, key)
        if len(path) < 8:
            yield from _paths(each, (*path, key))


@st.composite
def mutated_tables(draw: st.DrawFn) -> dict[Any, Any]:
    table: Any = copy.deepcopy(draw(st.sampled_from(TABLES)))
    for _ in range(draw(st.integers(1, 3))):
        paths = list(_paths(table))
        if not paths:
            break
        *above, key = draw(st.sampled_from(paths))
        inside: Any = reduce(lambda value, part: value[part], above, table)
        match draw(st.integers(0, 7)):
            case 0:
                del inside[key]
            case 1 if isinstance(inside, dict):
                inside[draw(keys)] = inside.pop(key)
            case 2 if isinstance(inside, dict):
                inside[draw(keys)] = draw(values)
            case 3 if draw(st.booleans()) and draw(st.booleans()):
                elsewhere = draw(st.sampled_from(paths))
                # Not a copy: where it is around this, it now contains itself.
                inside[key] = reduce(lambda value, part: value[part], elsewhere, table)
            case _:
                inside[key] = draw(values)
    return table


@pytest.fixture(scope="module", autouse=True)
def _in_a_folder_of_its_own() -> Iterator[None]:
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.syspath_prepend(str(MODULES))
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        yield


def _loaded(source: Any) -> Config | tuple[Problem, ...]:
    try:
        return Config.load(source, environment=ENVIRONMENT, registry=REGISTRY)
    except ConfigurationError as error:
        problems = error.problems
    assert problems
    for problem in problems:
        assert problem.message
        assert len(str(problem).splitlines()) == 1
        assert PASSWORD not in json.dumps(problem.as_dict())
    return problems


def _check(config: Config) -> None:
    """Whatever loads can be reviewed, and said in full, which loads as the same."""
    for warning in review(config):
        assert warning.message
    again = Config.load(effective(config), environment=ENVIRONMENT, registry=REGISTRY)
    assert again.default == config.default
    assert [route.as_table() for route in again.routes] == [
        route.as_table() for route in config.routes
    ]
    assert list(again.pipelines) == list(config.pipelines)
    for name, pipeline in config.pipelines.items():
        assert repr(again.pipelines[name].pipeline) == repr(pipeline.pipeline)
        if "nan" not in repr(pipeline.pipeline):
            assert again.pipelines[name].pipeline == pipeline.pipeline


@pytest.mark.parametrize("seed", SEEDS)
def test_the_seeds_are_fine(seed: str) -> None:
    config = _loaded(tomllib.loads(seed))
    assert isinstance(config, Config)
    _check(config)


@at_random(400)
@given(mutated_texts())
def test_a_file_loads_or_is_told_what_is_wrong_and_where(text: str) -> None:
    file = Path("wspipe.toml")
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    loaded = _loaded(file)
    if isinstance(loaded, Config):
        _check(loaded)
        return
    lines = text.replace("\r\n", "\n").split("\n")
    for problem in loaded:
        if problem.position is None:
            assert not problem.path  # nothing in the file is to blame
        else:
            line, column = problem.position
            assert 1 <= line <= len(lines)
            assert 1 <= column <= len(lines[line - 1]) + 1


@at_random(700)
@given(mutated_tables())
@example({"pipelines": {"\x85": {}}})
@example({"pipelines": {"a": {"middlewares": [{"use": "Metrics", "close_codes": ["\ud800"]}]}}})
def test_a_dictionary_loads_or_is_told_what_is_wrong(table: dict[Any, Any]) -> None:
    loaded = _loaded(table)
    if isinstance(loaded, Config):
        _check(loaded)


@at_random(200)
@given(mutated_tables())
def test_a_json_file_loads_or_is_told_what_is_wrong(table: dict[Any, Any]) -> None:
    try:
        text = json.dumps(table)
    except (TypeError, ValueError, RecursionError):
        return  # JSON cannot say it
    Path("wspipe.json").write_text(text, encoding="utf-8")
    loaded = _loaded("wspipe.json")
    if isinstance(loaded, Config):
        _check(loaded)


@at_random(200)
@given(st.binary(max_size=40), st.sampled_from(["wspipe.toml", "wspipe.json", "pyproject.toml"]))
def test_a_file_of_anything_is_told_what_is_wrong(data: bytes, name: str) -> None:
    Path(name).write_bytes(data)
    assert not isinstance(_loaded(name), Config)
    Path(name).unlink()


@at_random(80)
@given(text=mutated_texts(), as_json=st.booleans())
@example(text="[" * 100_000, as_json=False)
@example(text='default = "\ud800"', as_json=True)
def test_the_command_never_fails(text: str, as_json: bool) -> None:  # noqa: FBT001 - hypothesis gives it
    Path("wspipe.toml").write_bytes(text.encode("utf-8", "surrogatepass"))
    result = CliRunner().invoke(command.app, ["check", *["--json"] * as_json])
    assert result.exit_code in {0, 1}
    assert result.exception is None or isinstance(result.exception, SystemExit)
    if as_json:
        assert bool(json.loads(result.stdout)["problems"]) == result.exit_code
    else:
        assert result.stdout.startswith("wspipe.toml")
