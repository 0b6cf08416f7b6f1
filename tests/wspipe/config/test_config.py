"""A whole configuration: its pipelines, which of them a connection gets, what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from wspipe import Composable, ImproperlyConfiguredException, Pipeline, StateValidation
from wspipe.config import Config, ConfigurationError
from wspipe.testing import websocket_scope
from wspipe_middlewares import AuthDeadline, MessageSizeLimit, Timeouts

if TYPE_CHECKING:
    from pathlib import Path

    from wspipe import ASGIConnection, Receive, Send


@dataclass(frozen=True)
class Tag(Composable):
    word: str = ""
    other: int = 0
    made: list[str] = field(default_factory=list[str], init=False, compare=False)

    def __post_init__(self) -> None:
        if self.word == "refused":
            raise ImproperlyConfiguredException(detail="word='refused' is no word")
        if self.other < 0:
            raise ImproperlyConfiguredException(detail="other is 0 or more, not -1")
        if self.word == "strange":
            raise ValueError("nobody knows why")

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        return receive, send


def plain(_: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
    return receive, send


TAG = f"{__name__}:Tag"
PIPELINES = {
    "base": {"middlewares": [{"use": TAG, "word": "base"}]},
    "chat": {"extends": "base", "middlewares": [f"{__name__}:plain"]},
}


def problems(data: dict[str, Any], **environment: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        Config.load(data, environment=environment)
    return [f"{each.key}: {each.message}" for each in caught.value.problems]


def of_stages(*stages: Any) -> list[str]:
    start = "pipelines.main.middlewares"
    found = problems({"pipelines": {"main": {"middlewares": list(stages)}}})
    return [each.removeprefix(start) for each in found]


def test_pipelines_are_made_in_order() -> None:
    config = Config.load({"pipelines": PIPELINES})
    assert list(config.pipelines) == ["base", "chat"]
    assert config.pipelines["base"].pipeline == Pipeline(Tag("base"))
    chat = config.pipelines["chat"]
    assert (chat.name, chat.extends) == ("chat", "base")
    assert chat.pipeline == Pipeline(Tag("base"), plain)
    assert [stage.declaration.use for stage in config.stages] == [TAG, f"{__name__}:plain"]


def test_what_is_inherited_is_the_very_stage() -> None:
    config = Config.load({"pipelines": PIPELINES})
    first, second = (config.pipelines[name].stages[0] for name in ("base", "chat"))
    assert first is second


def test_a_configuration_is_given_back() -> None:
    config = Config.load({"pipelines": PIPELINES})
    assert Config.load(config) is config


def test_from_a_file_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "wspipe.toml").write_text("pipelines.main = {}\n")
    config = Config.load()
    assert config.default == "main"
    assert config.document.name == "wspipe.toml"


def test_the_wire_stage_may_be_named_first() -> None:
    config = Config.load(
        {"pipelines": {"main": {"middlewares": [{"use": "StateValidation", "strict": True}]}}}
    )
    assert config.pipelines["main"].pipeline == Pipeline(StateValidation(strict=True))


@pytest.mark.parametrize(
    ("more", "path", "name"),
    [
        ({}, "/", None),
        ({"default": "base"}, "/", "base"),
        ({"routes": [{"path": "/chat/*", "pipeline": "chat"}]}, "/chat/1", "chat"),
        ({"routes": [{"path": "/chat/*", "pipeline": "chat"}]}, "/", None),
        ({"default": "base", "routes": [{"path": "/chat/*", "pipeline": "chat"}]}, "/", "base"),
    ],
)
def test_what_a_connection_gets(more: dict[str, Any], path: str, name: str | None) -> None:
    config = Config.load({"pipelines": PIPELINES, **more})
    chosen = config.choose(websocket_scope(path))
    assert (chosen and chosen.name) == name
    route = config.route_of(websocket_scope(path))
    assert (route and route.pipeline) == (name if name == "chat" else None)


def test_pipelines_by_name() -> None:
    config = Config.load({"pipelines": PIPELINES})
    assert config.named("chat") is config.pipelines["chat"]
    with pytest.raises(ConfigurationError) as caught:
        config.named()
    (problem,) = caught.value.problems
    assert str(problem) == "configuration: has no default pipeline; name one of its pipelines"
    assert problem.allowed == ("base", "chat")
    with pytest.raises(
        ConfigurationError, match='there is no pipeline "chta"; did you mean "chat"'
    ):
        config.named("chta")
    config = Config.load({"default": "base", "pipelines": PIPELINES})
    assert config.named() is config.pipelines["base"]


def test_everything_that_is_wrong_is_told_at_once() -> None:
    found = problems(
        {
            "defalt": 1,
            "default": "bas",
            "pipelines": {
                "base": {"middlewares": ["Loging", {"use": TAG, "word": 5, "wrod": "a"}]},
                "chat": {"extends": "nobody"},
            },
            "routes": [{"path": "chat", "pipeline": "base"}],
        }
    )
    assert [each.partition(":")[0] for each in found] == [
        "defalt",
        "default",
        "pipelines.base.middlewares[0]",
        "pipelines.base.middlewares[1].word",
        "pipelines.base.middlewares[1].wrod",
        "pipelines.chat.extends",
        "routes[0].path",
    ]


def test_a_refused_option_is_told_and_so_is_the_next() -> None:
    assert of_stages({"use": TAG, "word": "refused", "other": -1}) == [
        '[0].word: "refused" is no word',
        "[0].other: is 0 or more, not -1",
    ]


def test_what_a_class_refuses_for_no_option() -> None:
    (found,) = of_stages({"use": TAG, "word": "strange"})
    assert found == f'[0]: "{TAG}" cannot be made: ValueError: nobody knows why'


def test_what_a_class_refuses_where_something_is_wrong_already_is_not_told() -> None:
    (found,) = of_stages({"use": TAG, "word": "strange", "other": "x"})
    assert found == '[0].other: must be a whole number, not "x"'


@pytest.mark.parametrize(
    ("stages", "key"),
    [
        ([TAG, "StateValidation"], "[1]"),
        (["StateValidation", TAG, {"use": "StateValidation", "strict": True}], "[2]"),
    ],
)
def test_the_wire_stage_is_the_first_or_is_not_named(stages: list[Any], key: str) -> None:
    assert of_stages(*stages) == [
        (
            f"{key}: must be the first stage, the closest to the server, which it is not in "
            "pipeline main; it is always there, so leave it out where it has no options"
        )
    ]


def test_an_object_of_python_code_has_no_options() -> None:
    (found,) = of_stages({"use": f"{__name__}:plain", "word": "x"})
    assert found == (
        f'[0].word: "{__name__}:plain" is an object that is made already; '
        "only the middlewares that are classes have options"
    )


def test_stages_live_on_where_it_is_read_anew() -> None:
    first = Config.load({"pipelines": PIPELINES})
    second = first.reloaded()
    assert second is not first
    assert second.stages[0].middleware is first.stages[0].middleware
    changed = {"base": {"middlewares": [{"use": TAG, "word": "other"}]}}
    third = first.reloaded({"pipelines": changed})
    assert third.stages[0].middleware == Tag("other")


def test_a_stage_does_not_live_on_where_the_environment_has_changed() -> None:
    environment = {"WORD": "a"}
    data = {"pipelines": {"main": {"middlewares": [{"use": TAG, "word": "${WORD}"}]}}}
    first = Config.load(data, environment=environment)
    assert first.reloaded().stages[0].middleware is first.stages[0].middleware
    environment["WORD"] = "b"
    assert first.reloaded().stages[0].middleware == Tag("b")


def test_an_error_does_not_tell_what_the_environment_holds() -> None:
    data = {"pipelines": {"main": {"middlewares": [{"use": TAG, "word": "${WORD}"}]}}}
    config = Config.load(data, environment={"WORD": "s3cr3t"})
    assert config.told(OSError("no s3c")) == (
        "OSError (its message is withheld, as it may tell what ${WORD} holds)"
    )
    assert config.told(ImproperlyConfiguredException(detail="no s3cr3t")) == "no ${WORD}"
    assert Config.load({"pipelines": PIPELINES}).told(OSError("no")) == "OSError: no"


@pytest.mark.parametrize(
    ("said", "made"),
    [
        ({"use": "Timeouts", "accept": "none", "idle": 5}, Timeouts(accept=None, idle=5)),
        ({"use": "AuthDeadline", "within": "none"}, AuthDeadline(within=None)),
        (
            {"use": "MessageSizeLimit", "text_received": "none"},
            MessageSizeLimit(text_received=None),
        ),
    ],
    ids=lambda value: value.get("use") if isinstance(value, dict) else "",
)
def test_none_switches_off_what_is_on_by_default(said: dict[str, Any], made: object) -> None:
    config = Config.load({"pipelines": {"main": {"middlewares": [said]}}})
    assert config.named("main").pipeline.middlewares[-1] == made
