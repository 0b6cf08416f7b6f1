"""Every built-in middleware keeps the contract."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider

from wspipe import Event, Pipeline, on_receive, on_send, select
from wspipe.testing import FakeClock, MiddlewareFault
from wspipe.testing import check_middleware as check
from wspipe_middlewares import Drain, Logging, Metrics, RateLimit, Tracing
from wspipe_middlewares.tracing import JSONField

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from wspipe import Middleware

EXAMPLES = 40
"""Fewer than by default: there are many middlewares, and most have few cases of their own."""

LIMITS: list[dict[str, Any]] = [
    {"on_limit": "delay"},
    {"on_limit": "close"},
    {"on_limit": "drop"},
    {"on_limit": "raise"},
    {"on_limit": lambda _: None},
    {"on_limit": lambda exceeded: exceeded.event},
    {"cost": "bytes"},
    {"cost": "connections"},
    {"key": "user"},
    {"key": "connection"},
]


@pytest.fixture(autouse=True)
def _unheard() -> Iterator[None]:
    """Render all lines, and throw them away."""
    config = structlog.get_config()
    structlog.configure(
        logger_factory=structlog.ReturnLoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.NOTSET),
    )
    yield
    structlog.configure(**config)


def check_middleware(make: Callable[[], Middleware], **options: Any) -> None:
    check(make, **{"examples": EXAMPLES, **options})


def as_json(token: str) -> tuple[str]:
    return (f'{{"id": "{token}"}}',)


async def the_same(event: Event, _: object) -> Event:
    return event


@pytest.mark.parametrize("options", [{}, {"messages": True}, {"messages": True, "ratio": 0.5}])
def test_logging_only_looks(options: dict[str, Any]) -> None:
    check_middleware(lambda: Logging(**options), lossless=True)


@pytest.mark.parametrize("span", ["handshake", "connection"])
def test_tracing_only_looks(span: Any) -> None:
    provider = TracerProvider()
    check_middleware(
        lambda: Tracing(span=span, messages="all", tracer_provider=provider), lossless=True
    )


def test_tracing_with_a_carrier_loses_no_message() -> None:
    provider = TracerProvider()
    check_middleware(
        lambda: Tracing(messages="all", carrier=JSONField(), tracer_provider=provider),
        messages=as_json,
        lossless=True,
    )


def test_metrics_only_look() -> None:
    provider = MeterProvider()
    check_middleware(
        lambda: Metrics(
            message_size=True, process_duration=True, send_duration=True, meter_provider=provider
        ),
        lossless=True,
    )


@pytest.mark.parametrize("options", LIMITS, ids=lambda options: next(iter(options)))
def test_a_rate_limit_keeps_the_contract_at_its_limit(options: dict[str, Any]) -> None:
    clock = FakeClock()
    check_middleware(lambda: RateLimit("2/minute", clock=clock, **options), clock=clock)


def test_a_rate_limit_that_delays_loses_no_message() -> None:
    clock = FakeClock()
    check_middleware(
        lambda: RateLimit("2/minute", max_delay=3600, clock=clock), clock=clock, lossless=True
    )


def test_a_rate_limit_that_drops_is_not_lossless() -> None:
    clock = FakeClock()
    with pytest.raises(MiddlewareFault) as caught:
        check_middleware(
            lambda: RateLimit("1/hour", on_limit="drop", clock=clock), clock=clock, lossless=True
        )
    assert caught.value.rule == "lossless"


def test_drain_only_looks_until_it_drains() -> None:
    check_middleware(Drain, lossless=True)


@pytest.mark.parametrize("lifecycle", [False, True])
def test_interceptors_that_change_nothing_lose_nothing(lifecycle: bool) -> None:  # noqa: FBT001
    def make() -> Pipeline:
        plain = on_receive(lambda event, _: event, lifecycle=lifecycle)
        return plain | on_receive(the_same) | on_send(the_same, lifecycle=lifecycle)

    check_middleware(make, lossless=True)


def test_interceptors_may_drop_all_messages() -> None:
    check_middleware(lambda: on_receive(lambda *_: None) | on_send(lambda *_: None))


def test_a_middleware_may_be_selected_for_some_connections() -> None:
    check_middleware(
        lambda: select(lambda connection: connection.user != "bob", Logging(messages=True)),
        lossless=True,
    )


def test_pipelines_nest() -> None:
    provider = MeterProvider()

    def make() -> Pipeline:
        inner = Pipeline(Metrics(send_duration=True, meter_provider=provider), on_send(the_same))
        return Pipeline(Logging(), inner, Drain())

    check_middleware(make, lossless=True)


def test_nothing_at_all_keeps_the_contract() -> None:
    check_middleware(Pipeline, lossless=True, examples=100)


def test_what_is_raised_on_purpose_may_be_named() -> None:
    def refuse(event: Event, _: object) -> Event:
        if event.get("bytes") is not None:
            raise ValueError("binary")
        return event

    with pytest.raises(MiddlewareFault) as caught:
        check_middleware(lambda: on_send(refuse))
    assert caught.value.rule == "errors"
    check_middleware(lambda: on_send(refuse), raises=ValueError)
    check_middleware(lambda: on_send(refuse), raises=(LookupError, ValueError), examples=20)
