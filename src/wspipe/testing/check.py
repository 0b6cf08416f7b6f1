"""`check_middleware`: whether a middleware keeps the contract, whatever the conversation."""

from __future__ import annotations

import gc
from inspect import signature
from random import Random
from typing import TYPE_CHECKING

from wspipe.exceptions import ImproperlyConfiguredException, WSPipeException
from wspipe.pipeline import name_of
from wspipe.testing.clock import FakeClock
from wspipe.testing.conversation import Conversation, Messages, plain_messages
from wspipe.testing.generation import illegal_conversation, legal_conversation
from wspipe.testing.memory import keeps_messages
from wspipe.testing.rules import RULES, Finding, Standard
from wspipe.testing.shortening import shorten
from wspipe.testing.trials import Trials
from wspipe.testing.turnover import keeps_connections

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from wspipe.types import Middleware

    Trial = Callable[[Conversation], Finding | None]


class MiddlewareFault(WSPipeException, AssertionError):
    """A middleware breaks a rule of the contract; raised by `check_middleware`.

    The message shows the shortest conversation that was found to break it.

    Args:
        middleware: The name of the middleware.
        finding: The rule, and what was done to it.
        conversation: The conversation.

    Attributes:
        rule: The name of the rule, such as `"isolation"`.
        conversation: The conversation.
        problem: What the middleware did.
    """

    def __init__(self, middleware: str, finding: Finding, conversation: Conversation) -> None:
        super().__init__(
            detail=f"{middleware} breaks the rule {finding.rule!r}: {RULES[finding.rule]}.\n\n"
            f"{conversation!r}\n\n{finding.detail}"
        )
        self.rule: str = finding.rule
        self.conversation = conversation
        self.problem: str = finding.detail


def check_middleware(  # noqa: PLR0913 - one is needed, the others are options
    make: Callable[[], Middleware],
    *,
    messages: Messages = plain_messages,
    lossless: bool = False,
    raises: type[Exception] | tuple[type[Exception], ...] = (),
    without: Collection[str] = (),
    clock: FakeClock | None = None,
    examples: int = 100,
) -> None:
    """Run a middleware through conversations, and prove that it breaks no rule of the contract.

    It stands between a scripted server and a scripted application, each behind a strict wire
    stage, and is run by `PipelineMiddleware` in an event loop of its own whose time is virtual:
    see `FakeClock`. It may drop, delay, change and reject messages, and may close by
    `connection.close(by=...)`. It has to keep these rules:

    - `legality`: either side gets only events that are legal there, such as one accept, and nothing
      after the close or the end. A message that is too late, and refused, may be caught;
    - `errors`: it raises nothing but `WSPipeException`, `OSError` and what `raises` has, from
      receive and send only, and no task of its own fails;
    - `disconnect`: the application hears of the end when it is there, by what it receives or by a
      send that fails, and not before;
    - `answers`: the server gets the application's accept, close and denial;
    - `hang`: no receive and no send waits for what cannot come, which is an hour of virtual time;
    - `order`: messages keep their order, as far as they carry their tokens still;
    - `lossless`, where asked for: no message is lost, doubled or added;
    - `release`: no task is left when all is over, nothing holds a connection that has ended, and a
      client that comes and goes 160 times, or 800 in doubt, leaves nothing behind each time;
    - `isolation`: several clients at once, and one afterwards, see what each sees alone;
    - `concurrency`: messages sent at the same time give what they give one by one;
    - `cancellation`: the application, or a receive or send alone, may be cancelled at any await;
      what follows is legal, comes to its end, and finds nothing locked or taken;
    - `memory`: a connection grows by nothing for each of a thousand messages.

    Call it from a plain test. The conversations are the same each time. A check takes some
    seconds; a middleware that reads the system's own clock, or leaves something to chance, cannot
    be checked well: give it a clock and a seed.

    Args:
        make: Makes the middleware, a new one each time: a class, or a function without arguments.
        messages: As for `conversations`, for a middleware that wants messages of a certain form.
        lossless: Whether the middleware must neither drop nor double a message.
        raises: What it may raise besides.
        without: The names of rules that it breaks on purpose. A queue that drops what does not fit,
            for one, gives other messages where they are sent at the same time.
        clock: The one that the middleware is given, where it is given one.
        examples: How many conversations to try. Those take most of the time, in proportion.

    Raises:
        MiddlewareFault: It breaks a rule.
        ImproperlyConfiguredException: `make` is a middleware instead of what makes one, `messages`
            gives something else than payloads, or `without` names no rule.
    """
    __tracebackhide__ = True  # pytest shows the test instead
    if unknown := set(without) - set(RULES):
        raise ImproperlyConfiguredException(
            detail=f"without={tuple(without)!r}: there is no rule {', '.join(sorted(unknown))}; "
            f"the rules are {', '.join(RULES)}"
        )
    _check_factory(make)
    standard = Standard(lossless, raises if isinstance(raises, tuple) else (raises,))
    trials = Trials(make, messages, standard, clock)
    gc.collect()
    gc.freeze()  # what there is already need not be looked at again and again
    try:
        found = (
            _search(trials, examples, without)
            or keeps_messages(clock or FakeClock(), make, messages)
            or keeps_connections(clock or FakeClock(), make, messages)
        )
    finally:
        gc.unfreeze()
    if found is not None:
        raise MiddlewareFault(name_of(make()), *found)


def _check_factory(make: Callable[[], Middleware]) -> None:
    try:
        signature(make).bind()
    except TypeError:
        raise ImproperlyConfiguredException(
            detail=f"make={make!r} must be called without arguments and give a new middleware each "
            "time: a class, or a function such as lambda: MyMiddleware(5)"
        ) from None


def _search(
    trials: Trials, examples: int, without: Collection[str]
) -> tuple[Finding, Conversation] | None:
    """Look for a conversation with which a trial finds something, and make it as short as it can.

    The dearer a trial is, the fewer conversations it gets.
    """
    choose, messages = Random(0).choice, trials.messages  # noqa: S311 - no secret
    legal = [legal_conversation(choose, messages) for _ in range(examples)]
    illegal = [illegal_conversation(choose, messages) for _ in range(examples // 4)]
    for trial, given in (
        (trials.alone, legal),
        (trials.concurrency, legal),
        (trials.isolation, legal[::4]),
        (trials.alone, illegal),
        (trials.isolation, illegal[::3]),
        (trials.cancellation, legal[::8]),
    ):
        for conversation in given:
            finding = trial(conversation)
            if finding and finding.rule not in without:
                return _shorten(trial, finding, conversation, trials.messages)
    return None


def _shorten(
    trial: Trial, finding: Finding, conversation: Conversation, messages: Messages
) -> tuple[Finding, Conversation]:
    found = finding

    def breaks_the_rule(candidate: Conversation) -> bool:
        nonlocal found
        again = trial(candidate)
        if again is None or again.rule != finding.rule:
            return False
        found = again
        return True

    shortest = shorten(conversation, messages, breaks_the_rule)
    return found, shortest
