"""The interceptors in `examples/interceptors/` keep the contract, whatever the conversation."""

from __future__ import annotations

import hmac
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import msgpack
import pytest
import structlog

from wspipe.testing import check_middleware

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import ModuleType

NAME = "0123456789abcdef"


@pytest.fixture
def interceptor(
    example: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], ModuleType]:
    """Load one of the interceptors, to which all connections have one name."""
    monkeypatch.setattr("secrets.token_hex", lambda *_: NAME)
    monkeypatch.setenv("MESSAGE_KEY", "s3cret")
    return lambda name: example(f"interceptors/{name}")


def test_redact_keeps_the_contract_and_loses_nothing(
    interceptor: Callable[[str], ModuleType],
) -> None:
    redact = interceptor("redact").redact
    check_middleware(lambda: redact, lossless=True)


def topics(token: str) -> Sequence[str | bytes]:
    told = {"type": "news", "text": token}
    return token, json.dumps(told), json.dumps({"subscribe": ["news"], "text": token})


def test_filter_keeps_the_contract(interceptor: Callable[[str], ModuleType]) -> None:
    subscriptions = interceptor("filter").subscriptions
    check_middleware(lambda: subscriptions, messages=topics)


def packed(token: str) -> Sequence[str | bytes]:
    return json.dumps([token]), msgpack.packb([token])


def test_transform_keeps_the_contract(interceptor: Callable[[str], ModuleType]) -> None:
    module = interceptor("transform")
    check_middleware(lambda: module.unpack | module.pack, messages=packed)


def orders(token: str) -> Sequence[str | bytes]:
    good = json.dumps({"item": token, "amount": 1})
    return good, good.encode(), json.dumps({"item": token}), token


def test_validate_keeps_the_contract(interceptor: Callable[[str], ModuleType]) -> None:
    validate = interceptor("validate").validate
    check_middleware(lambda: validate, messages=orders)


def test_audit_keeps_the_contract_and_loses_nothing(
    interceptor: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    module = interceptor("audit")
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        monkeypatch.setattr(module, "log", structlog.PrintLogger(nowhere))
        check_middleware(lambda: module.audit, lossless=True)


def test_echo_suppression_keeps_the_contract(interceptor: Callable[[str], ModuleType]) -> None:
    check_middleware(interceptor("echo_suppress").NoEcho)


def signed(token: str) -> Sequence[str | bytes]:
    def sign(number: int) -> str:
        mac = hmac.new(b"s3cret", f"{NAME} {number} {token}".encode(), "sha256")
        return mac.hexdigest() + token

    return sign(1), sign(2), sign(3), token


def test_message_auth_keeps_the_contract(interceptor: Callable[[str], ModuleType]) -> None:
    module = interceptor("message_auth")
    check_middleware(lambda: module.invite | module.check, messages=signed)


def test_chaos_keeps_the_contract(interceptor: Callable[[str], ModuleType]) -> None:
    chaos = interceptor("chaos").Chaos
    check_middleware(lambda: chaos(lose=0.2, cut=0.05, delay=1))


def test_chaos_that_only_delays_loses_nothing(interceptor: Callable[[str], ModuleType]) -> None:
    chaos = interceptor("chaos").Chaos
    check_middleware(lambda: chaos(delay=1), lossless=True)


@pytest.mark.parametrize("name", ["hide_cards", "drop_blank", "answer_ping"])
def test_those_of_the_tutorial_keep_the_contract(
    example: Callable[[str], ModuleType], name: str
) -> None:
    interceptor = getattr(example("first_interceptor"), name)
    check_middleware(lambda: interceptor, messages=lambda token: (token, "ping", " "))
