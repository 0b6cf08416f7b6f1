"""Prove interceptors right: the kit looks for a conversation in which one breaks the contract.

Run it from this folder:

    python -m pytest -q test_contract.py
"""

from __future__ import annotations

from collections.abc import Callable

from first_interceptor import answer_ping, drop_blank, hide_cards
from own_middleware import Quota

from wspipe import ASGIConnection


class OpenQuota(Quota):
    """A quota for the clients of the kit, who do not say who they are."""

    async def admit(self, connection: ASGIConnection) -> None:
        """Let them in."""


def test_no_message_is_lost_or_doubled(check_middleware: Callable[..., None]) -> None:
    check_middleware(lambda: hide_cards, lossless=True)


def test_dropping_and_answering_break_no_rule(check_middleware: Callable[..., None]) -> None:
    check_middleware(lambda: drop_blank | answer_ping)


def test_the_quota_breaks_no_rule(check_middleware: Callable[..., None]) -> None:
    check_middleware(lambda: OpenQuota(3))
