"""`wspipe middlewares`: what is installed, with every option."""

from __future__ import annotations

import json
from importlib.metadata import version
from typing import TYPE_CHECKING

import pytest

from tests.built_in import BUILT_IN

if TYPE_CHECKING:
    from collections.abc import Callable

    from click.testing import Result

MEANING = (
    "Check the content of each event too: exactly one of text and bytes, close codes that may be "
    "sent, lower-case header names. Then a send after the client has left raises "
    "`WebSocketDisconnect` without reaching the server. Off by default around other applications, "
    "on in `websocket_app` and `WebSocket`."
)


def test_all(wspipe: Callable[..., Result]) -> None:
    result = wspipe("middlewares")
    assert result.exit_code == 0
    titles = [line for line in result.stdout.splitlines() if line[:1].strip()]
    assert [title.split()[0] for title in titles] == BUILT_IN


def test_one(wspipe: Callable[..., Result]) -> None:
    result = wspipe("middlewares", "StateValidation")
    assert [line.rstrip() for line in result.stdout.splitlines()] == [
        f"StateValidation  wspipe:StateValidation, from wspipe {version('wspipe')}",
        "  The wire stage, always the first of a pipeline and present even where it is not named.",
        "  option    takes            default    meaning",
        f"  strict    true or false    false      {MEANING}",
        "",
    ]


def test_an_option_that_must_be_given_says_so(wspipe: Callable[..., Result]) -> None:
    lines = wspipe("middlewares", "RateLimit").stdout.splitlines()
    (rate,) = [line for line in lines if line.strip().startswith("rate ")]
    assert "must be given" in rate


def test_as_json(wspipe: Callable[..., Result]) -> None:
    result = wspipe("middlewares", "--json")
    assert result.exit_code == 0
    found = json.loads(result.stdout)["middlewares"]
    assert [each["name"] for each in found] == BUILT_IN
    (limit,) = [each for each in found if each["name"] == "RateLimit"]
    options = {option["name"]: option for option in limit["options"]}
    assert options["rate"]["required"]
    assert "default" not in options["rate"]
    assert options["key"]["default"] == "client"
    assert options["burst"]["default"] is None
    assert all(option["description"] for each in found for option in each["options"])


def test_one_as_json(wspipe: Callable[..., Result]) -> None:
    (strict,) = json.loads(wspipe("middlewares", "StateValidation", "--json").stdout)[
        "middlewares"
    ][0]["options"]
    description = strict.pop("description")
    assert description.startswith("Check the content of each event too")
    assert strict == {
        "name": "strict",
        "type": "true or false",
        "required": False,
        "default": False,
    }


@pytest.mark.parametrize(
    ("name", "advice"), [("ratelimt", " Did you mean RateLimit?"), ("Zebra", "")]
)
def test_one_that_is_not_there(name: str, advice: str, wspipe: Callable[..., Result]) -> None:
    result = wspipe("middlewares", name)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        f'wspipe: there is no middleware "{name}".{advice} There are '
        f"{', '.join(BUILT_IN[:-1])} and {BUILT_IN[-1]}\n"
    )
