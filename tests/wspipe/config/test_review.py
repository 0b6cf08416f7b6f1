"""What `wspipe check` advises against, and that it is silent where all is well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from wspipe import Composable, select
from wspipe.config import Config
from wspipe.config.review import review

if TYPE_CHECKING:
    from wspipe import ASGIConnection, Receive, Send


@dataclass(frozen=True)
class Gate(Composable):
    """Has an `admit`, and so may reject."""

    checks_origin: ClassVar[bool] = True
    room: str = ""

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        return receive, send

    async def admit(self, _: ASGIConnection) -> None: ...


@dataclass(frozen=True)
class Harmless(Gate):
    """Has an `admit` that never rejects."""

    checks_origin: ClassVar[bool] = False
    rejects: ClassVar[bool] = False


def plain(_: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
    return receive, send


selected = select(lambda _: True, Gate())

GATE, HARMLESS = f"{__name__}:Gate", f"{__name__}:Harmless"
PLAIN, SELECTED = f"{__name__}:plain", f"{__name__}:selected"
LIMIT = {"use": "RateLimit", "rate": "20/second"}
CONNECTIONS = {"use": "RateLimit", "rate": "5/minute", "cost": "connections", "on_limit": "close"}
CLOSER = "put it before, closer to the server"
NO_DEFAULT = (
    ": there is no default, so connections that no route matches get no pipeline; "
    "give one, which may be empty"
)


def warnings(data: dict[str, Any]) -> list[str]:
    """Give the warnings of a configuration, each with its key."""
    found = list(review(Config.load(data, environment={})))
    assert {each.level for each in found} <= {"warning"}
    told = [f"{each.key}: {each.message}" for each in found]
    assert (NO_DEFAULT in told) is ("default" not in data and not is_single(data))
    return [each for each in told if each != NO_DEFAULT]


def is_single(data: dict[str, Any]) -> bool:
    """Tell whether the one pipeline is the default without being called so."""
    return len(data["pipelines"]) == 1 and not data.get("routes")


def of_stages(*stages: Any) -> list[str]:
    """Give the warnings of a pipeline, without what leads to it."""
    start = "pipelines.main.middlewares"
    return [
        each.removeprefix(start)
        for each in warnings({"pipelines": {"main": {"middlewares": stages}}})
    ]


def routed(*routes: dict[str, Any], stages: tuple[Any, ...] = ()) -> list[str]:
    pipelines = {"main": {"middlewares": stages}}
    return warnings({"pipelines": pipelines, "routes": [{"pipeline": "main", **r} for r in routes]})


@pytest.mark.parametrize(
    "stages",
    [
        (),
        ("Logging", "Tracing", "Metrics", CONNECTIONS, GATE, LIMIT, PLAIN, "Drain"),
        ("StateValidation", "Logging"),
        (HARMLESS, "Logging"),
        (LIMIT, "Logging"),
        ("Logging", {"use": "Logging", "messages": True}),
        (GATE, {"use": GATE, "room": "1"}, HARMLESS),
        (LIMIT, {**LIMIT, "rate": "10/second"}),
        (LIMIT, {**LIMIT, "key": "connection"}),
        (LIMIT, {**LIMIT, "cost": "bytes"}),
    ],
)
def test_where_all_is_well_nothing_is_said(stages: tuple[Any, ...]) -> None:
    assert of_stages(*stages) == []


@pytest.mark.parametrize(
    ("rejecting", "names"),
    [
        ([GATE], GATE),
        ([CONNECTIONS], "RateLimit"),
        ([SELECTED], SELECTED),
        ([GATE, HARMLESS, CONNECTIONS], f"{GATE} and RateLimit"),
    ],
)
@pytest.mark.parametrize("observer", ["Logging", "Tracing", "Metrics"])
def test_an_observer_behind_what_may_reject(
    rejecting: list[Any], names: str, observer: str
) -> None:
    assert of_stages(*rejecting, observer) == [
        (
            f"[{len(rejecting)}]: {observer} does not see the connections that {names} rejects; "
            "put it before, closer to the server"
        )
    ]


def test_a_second_stage_of_the_same_options() -> None:
    assert of_stages("Logging", PLAIN, "Logging", "Logging", PLAIN) == [
        "[2]: is a second Logging with the same options; leave one out",
        "[3]: is a second Logging with the same options; leave one out",
        f"[4]: is a second {PLAIN} with the same options; leave one out",
    ]


@pytest.mark.parametrize("options", [{}, {"message_size": True}])
def test_a_second_metrics(options: dict[str, Any]) -> None:
    assert of_stages("Metrics", {"use": "Metrics", **options}) == [
        "[1]: counts nothing: a Metrics of the same meter provider is before it"
    ]


@pytest.mark.parametrize("rate", ["20/second", "2000/minute"])
def test_a_limit_that_never_comes_into_play(rate: str) -> None:
    (found,) = of_stages(LIMIT, {**LIMIT, "rate": rate, "burst": 40})
    assert found.startswith("[1]: never comes into play: RateLimit('20/second'")
    assert found.endswith(" before it lets no more pass")


def test_a_drain_that_is_not_the_last() -> None:
    advice = "is not the last stage; put it last, closest to the application"
    assert of_stages("Drain", PLAIN) == [f"[0]: {advice}"]
    assert of_stages("Drain", "Drain") == [
        f"[0]: {advice}",
        "[1]: is a second Drain with the same options; leave one out",
    ]


def test_a_stage_that_is_inherited_is_advised_on_once() -> None:
    pipelines = {"a": {"middlewares": [GATE, "Logging"]}, "b": {"extends": "a"}}
    (found,) = warnings({"pipelines": pipelines})
    assert found.startswith("pipelines.a.middlewares[1]: Logging does not see")


def test_a_stage_that_is_wrong_only_where_it_is_inherited() -> None:
    pipelines = {
        "a": {"middlewares": ["Logging"]},
        "b": {"extends": "a", "middlewares": [{"use": GATE, "before": "Logging"}]},
    }
    (found,) = warnings({"pipelines": pipelines})
    assert found.startswith("pipelines.a.middlewares[0]: Logging does not see")


UNUSED = "no route leads to it, nothing extends it, and it is not the default"


@pytest.mark.parametrize(
    ("more", "unused"),
    [
        ({}, []),
        ({"default": "a"}, ["c"]),
        ({"routes": [{"path": "/", "pipeline": "b"}]}, ["c"]),
        ({"routes": [{"path": "/", "pipeline": "c"}]}, ["b"]),
        ({"default": "b", "routes": [{"path": "/", "pipeline": "c"}]}, []),
    ],
)
def test_pipelines_that_no_connection_gets(more: dict[str, Any], unused: list[str]) -> None:
    pipelines = {"a": {}, "b": {"extends": "a"}, "c": {}}
    found = warnings({"pipelines": pipelines, **more})
    if "routes" in more or "default" in more:
        expected = set(unused)
        if more.get("default") == "a":
            expected = {"b", "c"}
        assert found == [f"pipelines.{name}: {UNUSED}" for name in sorted(expected)]
    else:
        assert found == []


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"path": "/chat/{room}"}, {"path": "/chat/{id}"}),
        ({"path": "/chat/*"}, {"path": "/chat/{room}/history"}),
        ({"path": "/*"}, {"path": "/chat", "host": "example.com"}),
        ({"path": "/*", "host": "*.example.com"}, {"path": "/", "host": "eu.example.com"}),
        ({"path": "/*", "host": "example.com"}, {"path": "/", "host": "EXAMPLE.com"}),
    ],
)
def test_a_route_behind_one_that_takes_all_of_it(
    first: dict[str, Any], second: dict[str, Any]
) -> None:
    assert routed(first, second) == [
        f'routes[1]: no connection gets here: "{first["path"]}" before it matches them all'
    ]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"path": "/chat/{room}"}, {"path": "/chat/*"}),
        ({"path": "/*", "host": "example.com"}, {"path": "/"}),
        ({"path": "/*", "host": "a.example.com"}, {"path": "/", "host": "*.example.com"}),
        ({"path": "/*", "host": "*.example.com"}, {"path": "/", "host": "example.com"}),
    ],
)
def test_a_route_behind_one_that_takes_only_some_of_it(
    first: dict[str, Any], second: dict[str, Any]
) -> None:
    assert routed(first, second) == []


def test_cookies_that_nobody_guards() -> None:
    message = (
        "routes[0].cookies: browsers send cookies whatever page connects, and nothing in pipeline "
        "main checks the origin: any site could talk to the application as its visitors; add a "
        "middleware that checks it"
    )
    assert routed({"path": "/", "cookies": True}, stages=("Logging", HARMLESS)) == [message]
    assert routed({"path": "/", "cookies": True}, stages=("Logging", GATE)) == []
    assert routed({"path": "/", "cookies": False}) == []


@dataclass(frozen=True)
class Lost(Composable):
    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        return receive, send

    def review(self, before: Any, behind: Any) -> list[str]:
        raise LookupError(before, behind)


def test_a_stage_that_cannot_tell_spoils_nothing() -> None:
    assert of_stages(f"{__name__}:Lost", GATE, "Logging") == [
        "[0]: could not tell what it thinks of its place: LookupError",
        f"[2]: Logging does not see the connections that {GATE} rejects; {CLOSER}",
    ]


@pytest.mark.parametrize("path", ["/rooms/:id", "/rooms/<id>"])
def test_a_path_as_other_routers_have_it(path: str) -> None:
    (found,) = warnings(
        {
            "default": "main",
            "pipelines": {"main": {}},
            "routes": [{"path": path, "pipeline": "main"}],
        }
    )
    told = "is taken as it stands; a part that varies is a name in braces"
    assert found == f"routes[0].path: {told}"
