"""Values from the environment: put in, and never shown."""

from __future__ import annotations

import copy
import pickle
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from wspipe import Composable, PipelineMiddleware
from wspipe.config import Config, ConfigurationError
from wspipe.config.document import Document
from wspipe.config.effective import effective
from wspipe.config.environment import Secret, expand, hide
from wspipe.config.problems import Problems

if TYPE_CHECKING:
    from wspipe import ASGIConnection, Receive, Send

BEGINS_NONE = (
    "has a ${ that begins no placeholder; one is a name in braces, such as ${REDIS_URL}, and has "
    "no default; $${ stands for the characters"
)
ENVIRONMENT = {"NAME": "bob", "EMPTY": "", "REDIS_URL": "redis://:pw@db/0", "N": "5"}


def expanded(value: Any) -> tuple[Any, dict[str, str], list[str]]:
    problems = Problems(Document("configuration", {}))
    result, secrets = expand(value, ("x",), ENVIRONMENT, problems)
    return result, secrets, [str(each) for each in problems]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${NAME}", "bob"),
        ("a ${NAME} b ${N}", "a bob b 5"),
        ("${EMPTY}", ""),
        ("$${NAME}", "${NAME}"),
        ("$${NAME} ${NAME}", "${NAME} bob"),
        ("$NAME", "$NAME"),
        ("plain", "plain"),
        ("{NAME}", "{NAME}"),
    ],
)
def test_a_text(text: str, value: str) -> None:
    result, _, problems = expanded(text)
    assert result == value
    assert problems == []
    assert isinstance(result, Secret) is ("${" in text.replace("$${", ""))


def test_arrays_and_tables() -> None:
    result, secrets, problems = expanded({"a": ["${NAME}", 1, ("${N}",)], "${NAME}": True})
    assert result == {"a": ["bob", 1, ["5"]], "${NAME}": True}
    assert secrets == {"${NAME}": "bob", "${N}": "5"}
    assert problems == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("${NAMES}", "needs the environment variable NAMES, which is not set; did you mean NAME?"),
        ("${ZZZ}", "needs the environment variable ZZZ, which is not set"),
        (
            "${NAME",
            BEGINS_NONE,
        ),
        (
            "${}",
            BEGINS_NONE,
        ),
    ],
)
def test_what_cannot_be_put_in(text: str, problem: str) -> None:
    result, _, problems = expanded(text)
    assert result == text
    assert problems == [f'configuration: x: "{text}" {problem}']


def test_a_secret_is_worth_its_value_and_shows_its_placeholder() -> None:
    secret = Secret("s3cr3t", "${TOKEN}")
    for each in (secret, copy.deepcopy(secret), pickle.loads(pickle.dumps(secret))):  # noqa: S301
        assert each == "s3cr3t"
        assert repr(each) == "'${TOKEN}'"
        assert each.placeholder == "${TOKEN}"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("no bob here", "no ${NAME} here"),
        ("bobby, 'bob'", "bobby, '${NAME}'"),
        ("xredis://:pw@db/00", "x${REDIS_URL}0"),
        ("bob redis://:pw@db/0", "${NAME} ${REDIS_URL}"),
        (r"it's 'a\nb'", "it's '${LINES}'"),
    ],
)
def test_what_a_message_quotes_is_hidden(text: str, shown: str) -> None:
    secrets = {"${NAME}": "bob", "${REDIS_URL}": "redis://:pw@db/0", "${LINES}": "a\nb", "${E}": ""}
    assert hide(text, secrets) == shown


def test_a_text_around_a_placeholder_is_hidden_as_a_whole() -> None:
    _, secrets, _ = expanded("a${NAME}b")
    assert hide("no abobb", secrets) == "no a${NAME}b"


def test_a_secret_within_another_does_not_show_the_rest_of_it() -> None:
    assert hide("a-b-c", {"${A}": "b", "${B}": "a-b-c"}) == "${B}"


@dataclass(frozen=True)
class Keeper(Composable):
    """Keeps secrets, and refuses some."""

    word: str
    words: tuple[str, ...] = ()
    hidden: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if self.hidden:
            raise ValueError(f"hidden={self.hidden!r} is refused")

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        return receive, send


def configuration(**options: Any) -> dict[str, Any]:
    return {"pipelines": {"main": {"middlewares": [{"use": f"{__name__}:Keeper", **options}]}}}


async def application(*_: Any) -> None: ...


def test_no_repr_shows_a_secret() -> None:
    config = Config.load(
        configuration(word="${TOKEN}", words=["a", "x${TOKEN}"]), environment={"TOKEN": "s3cr3t"}
    )
    (stage,) = config.stages
    assert isinstance(stage.middleware, Keeper)
    assert stage.middleware.word == "s3cr3t"
    assert stage.middleware.words == ("a", "xs3cr3t")
    app = PipelineMiddleware.from_config(application, config)
    pipeline = config.pipelines["main"]
    for each in (stage, pipeline, pipeline.pipeline, app, app.middlewares, config.document, config):
        assert "s3cr3t" not in repr(each)
    assert repr(pipeline.pipeline) == (
        "Pipeline(Keeper(word='${TOKEN}', words=('a', 'x${TOKEN}')))"
    )
    assert "s3cr3t" not in repr(effective(config))


def test_no_repr_of_a_limit_shows_where_its_store_is() -> None:
    limit = {"use": "RateLimit", "rate": "5/second", "store": "${REDIS_URL}"}
    config = Config.load({"pipelines": {"main": {"middlewares": [limit]}}}, environment=ENVIRONMENT)
    assert ":pw" not in repr(config.stages)
    assert "redis" not in repr(config.pipelines["main"].pipeline)


@pytest.mark.parametrize(
    "options",
    [
        {"word": "a", "hidden": "${TOKEN}"},
        {"word": "a", "hidden": "x${TOKEN}"},
        {"word": "a", "words": "${TOKEN}"},
        {"word": ["${TOKEN}"]},
        {"word": "a", "words": {"a": "${TOKEN}"}},
        {"word": "a", "words": ["${TOKEN}", 5]},
    ],
)
def test_no_error_shows_a_secret(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Config.load(configuration(**options), environment={"TOKEN": "s3cr3t"})
    for each in (str(caught.value), repr(caught.value), repr(caught.value.problems)):
        assert "s3cr3t" not in each


def test_a_number_may_come_from_the_environment() -> None:
    limit = {"use": "RateLimit", "rate": "5/second", "burst": "${N}", "max_delay": "${N}"}
    config = Config.load({"pipelines": {"main": {"middlewares": [limit]}}}, environment=ENVIRONMENT)
    (stage,) = config.stages
    assert getattr(stage.middleware, "burst") == 5  # noqa: B009 - it is of any class
    assert getattr(stage.middleware, "max_delay") == 5.0  # noqa: B009 - likewise
