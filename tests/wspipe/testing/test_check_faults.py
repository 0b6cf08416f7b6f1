"""`check_middleware` finds the mistakes that people make, and nothing in what is right."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.wspipe.testing import broken
from wspipe import ImproperlyConfiguredException, WSPipeException, on_receive, on_send
from wspipe.testing import MiddlewareFault, check_middleware

if TYPE_CHECKING:
    from wspipe import ASGIConnection, Event, Middleware

BROKEN = {
    broken.AcceptsToo: "legality",
    broken.Acknowledges: "legality",
    broken.ClosesTwice: "legality",
    broken.ClosesWithout: "legality",
    broken.CountsEachReply: "memory",
    broken.CurrentOfConnection: "concurrency",
    broken.CurrentOnSelf: "concurrency",
    broken.DelaysAccept: "answers",
    broken.DropsClose: "answers",
    broken.FailsAtEnd: "errors",
    broken.FailsOnAccept: "errors",
    broken.FailsToConnect: "errors",
    broken.Greets: "legality",
    broken.IgnoresCancelledSend: "cancellation",
    broken.InventsDisconnect: "disconnect",
    broken.Journal: "release",
    broken.LeaksLock: "concurrency",
    broken.LeaksSlot: "cancellation",
    broken.LeavesTask: "release",
    broken.NewestFirst: "order",
    broken.NumbersOnSelf: "isolation",
    broken.PingsAfterEnd: "legality",
    broken.Polls: "hang",
    broken.PollsTheOthers: "hang",
    broken.ReadsAhead: "disconnect",
    broken.ReadsCode: "errors",
    broken.Registry: "release",
    broken.RefusesTwo: "concurrency",
    broken.RemembersAll: "memory",
    broken.ReturnsNone: "legality",
    broken.SaysGoodbye: "legality",
    broken.SendsBoth: "legality",
    broken.Shouts: "errors",
    broken.StopsAfterMany: "hang",
    broken.StaysOpen: "answers",
    broken.SwallowsCancel: "hang",
    broken.SwallowsDisconnect: "disconnect",
    broken.SwallowsLoss: "disconnect",
    broken.TakesTurns: "hang",
    broken.TaskFails: "errors",
}

LOSSY = {
    broken.Doubles: "lossless",
    broken.DropsBinary: "lossless",
    broken.DropsReplies: "lossless",
    broken.LosesInHand: "cancellation",
    broken.Prefetches: "release",
}

TWINS = [
    broken.AcceptsFirst,
    broken.AcknowledgesWhileItMay,
    broken.Admits,
    broken.Closes,
    broken.ClosesTheSilent,
    broken.EndsTask,
    broken.GreetsAfterAccept,
    broken.Numbers,
    broken.OldestFirst,
    broken.OwnsResources,
    broken.ReadsAheadToTheEnd,
    broken.RemembersLast,
    broken.RemembersVisitors,
    broken.SaysGoodbyeInTime,
    broken.SendsBytes,
    broken.SkipsEmptyMessages,
    broken.TidyJournal,
    broken.TidyRegistry,
]

LOSSLESS_TWINS = [
    broken.CountsLosses,
    broken.GivesSlotBack,
    broken.KeepsInHand,
    broken.ReleasesLock,
    broken.Slow,
]


def fault_of(make: Any, **options: Any) -> MiddlewareFault:
    with pytest.raises(MiddlewareFault) as caught:
        check_middleware(make, **options)
    return caught.value


@pytest.mark.parametrize(("middleware", "rule"), BROKEN.items(), ids=str)
def test_a_mistake_is_found(middleware: type[Middleware], rule: str) -> None:
    assert fault_of(middleware).rule == rule


@pytest.mark.parametrize(("middleware", "rule"), LOSSY.items(), ids=str)
def test_a_lost_or_doubled_message_is_found(middleware: type[Middleware], rule: str) -> None:
    assert fault_of(middleware, lossless=True).rule == rule


@pytest.mark.parametrize("middleware", [broken.Doubles, broken.DropsBinary, broken.DropsReplies])
def test_what_may_lose_messages_may_lose_them(middleware: type[Middleware]) -> None:
    check_middleware(middleware, examples=30)


@pytest.mark.parametrize("middleware", TWINS)
def test_what_does_the_same_in_the_right_way_passes(middleware: type[Middleware]) -> None:
    check_middleware(middleware, examples=50)


@pytest.mark.parametrize("middleware", LOSSLESS_TWINS)
def test_what_keeps_all_messages_passes(middleware: type[Middleware]) -> None:
    check_middleware(middleware, lossless=True, examples=50)


@pytest.mark.parametrize(
    ("middleware", "steps", "problem"),
    [
        (
            broken.SwallowsDisconnect,
            (
                "the client connects; the application receives; the client leaves with 1001; "
                "the application receives; the application returns"
            ),
            "step 4, the application receives: the middleware took the disconnect for itself",
        ),
        (
            broken.SwallowsLoss,
            (
                "the client connects; the client leaves with 1001; the application accepts; the "
                "application sends text 'out-1'; the application sends text 'out-2'; the "
                "application returns"
            ),
            "the client has left, and the application may send on and on",
        ),
        (
            broken.SaysGoodbye,
            "the client connects; the application closes with 1000; the application returns",
            (
                "step 2, the application closes with 1000: it sent the server 'websocket.send' "
                "while the server's side was waiting for connect and the application's rejected; "
                "legal from it here: nothing"
            ),
        ),
        (
            broken.NumbersOnSelf,
            (
                "the client connects; the application accepts; the application sends text 'out-1'; "
                "the application returns"
            ),
            (
                "bob's connection, at the same time as others: the server gets "
                "{'type': 'websocket.send', 'text': '2 bob-out-1'}; otherwise: the server gets "
                "{'type': 'websocket.send', 'text': '1 bob-out-1'}"
            ),
        ),
        (
            broken.NewestFirst,
            (
                "the client connects; the application accepts; the application sends text 'out-1'; "
                "the application sends text 'out-2'; the application returns"
            ),
            "the server gets 'out-1' after 'out-2'",
        ),
        (
            broken.ReadsCode,
            "the client connects; the application closes without a code; the application returns",
            "step 2, the application closes without a code: it raises KeyError: 'code'",
        ),
        (
            broken.LeaksSlot,
            "the client connects; the application receives; the application returns",
            (
                "where the application, in step 2, is cancelled, at await 1: eve's connection, an "
                "hour later: step 2, the application receives, waits for ever; otherwise: the "
                "application gets websocket.connect"
            ),
        ),
        (
            broken.Registry,
            "the client connects; the application returns",
            "the connection has ended, and something still holds it",
        ),
    ],
)
def test_the_conversation_that_is_shown_is_as_short_as_can_be(
    middleware: type[Middleware], steps: str, problem: str
) -> None:
    fault = fault_of(middleware)
    assert "; ".join(map(str, fault.conversation)) == steps
    assert fault.problem == problem


def test_the_message_tells_the_rule_the_conversation_and_what_happened() -> None:
    fault = fault_of(broken.DropsClose)
    assert str(fault) == (
        "DropsClose breaks the rule 'answers': the server gets the accept, the close and the "
        "denial of the application.\n\n"
        "  1. the client connects\n"
        "  2. the application closes with 1000\n"
        "  3. the application returns\n\n"
        "the application denied or closed, and the server does not know"
    )
    assert isinstance(fault, AssertionError)
    assert isinstance(fault, WSPipeException)


def test_a_message_of_the_middlewares_own_is_not_lossless() -> None:
    fault = fault_of(broken.AcknowledgesWhileItMay, lossless=True)
    assert fault.rule == "lossless"
    assert fault.problem == "of the application's messages the server gets 1 of 0: it adds some"


def test_what_is_made_of_a_function_is_named_by_that() -> None:
    assert str(fault_of(lambda: through)).startswith("on_receive(through) breaks the rule 'errors'")


@on_receive
def through(event: Event, _: ASGIConnection) -> Event:
    return {**event, "text": event["text"]}


@pytest.mark.parametrize("make", [through, broken.Slow(), on_send(lambda event, _: event)])
def test_a_middleware_is_no_factory(make: Any) -> None:
    with pytest.raises(ImproperlyConfiguredException, match="must be called without arguments"):
        check_middleware(make)


@pytest.mark.parametrize("given", ["in-1", [1], [], None])
def test_messages_have_to_be_payloads(given: Any) -> None:
    with pytest.raises(ImproperlyConfiguredException, match=re.escape(f"messages gives {given!r}")):
        check_middleware(broken.Slow, messages=lambda _: given)
