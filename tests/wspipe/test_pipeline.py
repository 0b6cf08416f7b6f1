"""`Pipeline`: equality, order, the methods that change one, and what it refuses."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, dataclass, fields
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from wspipe import (
    ASGIConnection,
    Composable,
    ImproperlyConfiguredException,
    Pipeline,
    StateValidation,
    on_receive,
    on_send,
    select,
)
from wspipe.testing import websocket_scope

if TYPE_CHECKING:
    from collections.abc import Callable

    from wspipe import Event, Receive, Send

pytestmark = pytest.mark.anyio

CONNECT = {"type": "websocket.connect"}
ACCEPT = {"type": "websocket.accept"}


@dataclass(frozen=True)
class Stage(Composable):
    """Notes the events that pass it."""

    def __call__(
        self, connection: ASGIConnection, receive: Receive, send: Send
    ) -> tuple[Receive, Send]:
        name, notes = type(self).__name__, connection.scope["notes"]

        async def noted_receive() -> Event:
            event = await receive()
            notes.append(f"{event['type']} in {name}")
            return event

        async def noted_send(event: Event) -> None:
            notes.append(f"{event['type']} in {name}")
            await send(event)

        return noted_receive, noted_send


class A(Stage): ...


class B(Stage): ...


class C(Stage): ...


class D(Stage): ...


def plain(_: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
    return receive, send


def a_connection() -> ASGIConnection:
    return ASGIConnection({**websocket_scope(), "notes": []})


async def gives_connect() -> Event:
    return CONNECT


async def takes_anything(_: Event) -> None:
    pass


def test_a_pipeline_and_its_middlewares_joined_by_bars_are_the_same_thing() -> None:
    assert A() | B() == Pipeline(A(), B())
    assert hash(A() | B()) == hash(Pipeline(A(), B()))
    assert A() | B() != B() | A()
    assert Pipeline(A()) != A()


def test_the_bar_is_associative_and_nesting_makes_no_difference() -> None:
    flat = Pipeline(A(), B(), C(), D())
    assert (A() | B()) | (C() | D()) == flat
    assert A() | (B() | (C() | D())) == flat
    assert Pipeline(Pipeline(), A(), Pipeline(B(), Pipeline(C())), D()) == flat


def test_the_bar_joins_plain_functions_on_either_side() -> None:
    assert plain | A() == Pipeline(plain, A())
    assert A() | plain == Pipeline(A(), plain)
    assert Pipeline() | plain == Pipeline(plain)


@pytest.mark.parametrize(
    "stage",
    [Pipeline(A()), StateValidation(), on_receive(print), on_send(print), select(bool, A())],
)
def test_the_configuration_cannot_be_changed(stage: Any) -> None:
    for attribute in fields(stage):
        with pytest.raises(FrozenInstanceError):
            setattr(stage, attribute.name, None)
    assert not hasattr(stage, "__dict__")


def test_joining_makes_another_pipeline() -> None:
    pipeline = Pipeline(A())
    joined = pipeline
    joined |= B()
    assert pipeline == Pipeline(A())
    assert joined == Pipeline(A(), B())


@pytest.mark.parametrize(
    "pipeline",
    [
        Pipeline(),
        Pipeline(A()),
        StateValidation(strict=True) | A() | Pipeline(B(), C()),
        Pipeline(on_receive(print), on_send(print, lifecycle=True), select(bool, A())),
        Pipeline(select(bool, A() | on_send(print)), select(bool, Pipeline())),
    ],
)
def test_the_repr_is_the_code_that_makes_the_pipeline(pipeline: Pipeline) -> None:
    assert eval(repr(pipeline)) == pipeline  # noqa: S307 - that it can be evaluated is the claim


def test_the_stages_can_be_counted_and_gone_through() -> None:
    pipeline = Pipeline(A(), B())
    assert len(pipeline) == 2
    assert list(pipeline) == [A(), B()]
    assert pipeline.middlewares == (A(), B())


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        (Pipeline(A(), B()).before(A, D()), Pipeline(D(), A(), B())),
        (Pipeline(A(), B()).before(B, D()), Pipeline(A(), D(), B())),
        (Pipeline(A(), B()).before(B, C() | D()), Pipeline(A(), C(), D(), B())),
        (Pipeline(A(), B()).after(A, D()), Pipeline(A(), D(), B())),
        (Pipeline(A(), B()).after(B, D()), Pipeline(A(), B(), D())),
        (Pipeline(A(), B()).after(B, C() | D()), Pipeline(A(), B(), C(), D())),
        (Pipeline(A(), B(), C()).replace(B, D()), Pipeline(A(), D(), C())),
        (Pipeline(A(), B()).replace(A, Pipeline()), Pipeline(B())),
        (Pipeline(A(), B(), A()).without(A), Pipeline(B())),
        (Pipeline(A(), B()).without(Stage), Pipeline()),
        (Pipeline(plain, A()).after(A, B()), Pipeline(plain, A(), B())),
    ],
)
def test_the_changing_methods_find_a_stage_by_its_type(
    changed: Pipeline, expected: Pipeline
) -> None:
    assert changed == expected


def test_the_changing_methods_leave_the_pipeline_as_it_was() -> None:
    pipeline = Pipeline(A(), B())
    pipeline.before(A, C())
    pipeline.after(A, C())
    pipeline.replace(A, C())
    pipeline.without(A)
    assert pipeline == Pipeline(A(), B())


@pytest.mark.parametrize("method", ["before", "after", "replace"])
def test_a_place_that_is_not_there_or_not_unique_is_refused(method: str) -> None:
    with pytest.raises(ImproperlyConfiguredException, match="the pipeline has no C, at least one"):
        getattr(Pipeline(A(), B()), method)(C, D())
    with pytest.raises(ImproperlyConfiguredException, match="the pipeline has 2 A, just one") as it:
        getattr(Pipeline(A(), B(), A()), method)(A, D())
    assert "Pipeline(A(), B(), A())" in str(it.value)


def test_leaving_out_what_is_not_there_is_refused() -> None:
    with pytest.raises(ImproperlyConfiguredException, match="the pipeline has no C, at least one"):
        Pipeline(A(), B()).without(C)


async def async_function(_: ASGIConnection, __: Receive, ___: Send) -> None:
    pass


class AnASGIApplication:
    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None: ...


@pytest.mark.parametrize(
    ("thing", "problem"),
    [
        (None, "not callable"),
        ("Logging", "not callable"),
        (object(), "not callable"),
        ([A()], "not callable"),
        (A, r"a class; write A\(\)"),
        (async_function, "async;"),
        (partial(async_function), "async;"),
        (AnASGIApplication(), "async;"),
        (lambda event, connection: (event, connection), "not called with"),
        (lambda a, b, c, d: (a, b, c, d), "not called with"),
        (lambda a, b, *, send: (a, b, send), "not called with"),
    ],
)
def test_what_is_no_middleware_is_refused_by_its_position(thing: Any, problem: str) -> None:
    with pytest.raises(ImproperlyConfiguredException, match=f"^position 0 of .* is {problem}"):
        Pipeline(thing)
    with pytest.raises(ImproperlyConfiguredException, match=f"^position 2 of .* is {problem}"):
        Pipeline(A() | B(), thing)
    with pytest.raises(ImproperlyConfiguredException, match=f"^position 1 of .* is {problem}"):
        A() | thing  # type: ignore[operator]


def test_a_callable_whose_signature_cannot_be_read_is_taken_at_its_word() -> None:
    assert Pipeline(max).middlewares == (max,)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "build",
    [
        lambda: A() | StateValidation(),
        lambda: Pipeline(StateValidation(), StateValidation()),
        lambda: Pipeline(StateValidation()).before(StateValidation, A()),
    ],
)
def test_state_validation_is_refused_anywhere_but_first(build: Callable[[], Pipeline]) -> None:
    with pytest.raises(ImproperlyConfiguredException, match=r"position 1 of .* must be the first"):
        build()


def test_the_wire_stage_is_added_where_it_is_not_named() -> None:
    assert Pipeline(A()).with_wire(strict=True) == StateValidation(strict=True) | A()
    named = StateValidation() | A()
    assert named.middlewares[0] == StateValidation(strict=False)
    assert named.with_wire(strict=True) is named


async def test_events_pass_in_order_inbound_and_in_reverse_outbound() -> None:
    connection = a_connection()
    receive, send = (A() | B() | C())(connection, gives_connect, takes_anything)
    assert await receive() is CONNECT
    assert connection.scope["notes"] == [
        "websocket.connect in A",
        "websocket.connect in B",
        "websocket.connect in C",
    ]
    connection.scope["notes"].clear()
    await send(ACCEPT)
    assert connection.scope["notes"] == [
        "websocket.accept in C",
        "websocket.accept in B",
        "websocket.accept in A",
    ]


def test_a_direction_that_no_stage_wraps_is_the_very_callable_that_came_in() -> None:
    pair = Pipeline(plain, Pipeline(), plain)(a_connection(), gives_connect, takes_anything)
    assert pair[0] is gives_connect
    assert pair[1] is takes_anything
    receiving = Pipeline(plain, on_receive(print))(a_connection(), gives_connect, takes_anything)
    assert receiving[0] is not gives_connect
    assert receiving[1] is takes_anything
    sending = Pipeline(on_send(print), plain)(a_connection(), gives_connect, takes_anything)
    assert sending[0] is gives_connect
    assert sending[1] is not takes_anything


@pytest.mark.parametrize(
    "result", [None, gives_connect, (gives_connect, None), (None, takes_anything), (plain,) * 3]
)
def test_a_stage_that_returns_no_pair_is_named(result: Any) -> None:
    def forgetful(*_: Any) -> Any:
        return result

    with pytest.raises(ImproperlyConfiguredException, match=r"forgetful .* not the pair"):
        Pipeline(A(), forgetful)(a_connection(), gives_connect, takes_anything)
