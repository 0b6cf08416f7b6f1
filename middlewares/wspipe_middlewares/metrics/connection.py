"""What the metrics tell of a connection: that it is open, how long it lasted, how it ended."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Final

from wspipe import CLOSE_CODES
from wspipe_middlewares import names
from wspipe_middlewares.metrics.recorder import Recorder, attributes_of
from wspipe_middlewares.outcome import Outcome
from wspipe_middlewares.route import route_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from wspipe import ASGIConnection, Event

_KNOWN_AUTHORS: Final = frozenset({"client", "application", "server", "unknown"})


class ConnectionMetrics:
    """The metrics of one connection.

    Args:
        connection: The connection.
        recorder: Takes what is counted.
        close_codes: Known close codes, besides the registered ones.
    """

    __slots__ = ("accepted_at", "close_codes", "connection", "recorder", "route")

    def __init__(
        self, connection: ASGIConnection, recorder: Recorder, close_codes: Collection[int]
    ) -> None:
        self.connection: ASGIConnection = connection
        self.recorder: Recorder = recorder
        self.close_codes: Collection[int] = close_codes
        self.accepted_at: float | None = None
        self.route: str | None = None
        connection.on_handshake(self.answered)
        connection.exit_stack.callback(self.ended)

    def answered(self, _: Event) -> None:
        """Count the connection in, where it was accepted."""
        if self.connection.handshake_status == 101:
            self.route = route_of(self.connection)
            self.accepted_at = perf_counter()
            self.recorder.begin(self.route, self.connection.traffic)

    def ended(self) -> None:
        """Count the connection out, or as rejected."""
        outcome = Outcome.of(self.connection)
        if self.accepted_at is None:
            attributes = self._attributes(outcome, route_of(self.connection))
            if outcome.status is not None:
                attributes[names.STATUS] = outcome.status
            self.recorder.rejected.add(1, attributes)
            return
        lasted = perf_counter() - self.accepted_at
        self.recorder.end(self.route, self.connection.traffic)
        attributes = self._attributes(outcome, self.route)
        if outcome.code is not None:
            attributes[names.CLOSE_CODE] = self._known_code(outcome.code)
        self.recorder.duration.record(lasted, attributes)

    def _attributes(self, outcome: Outcome, route: str | None) -> dict[str, str | int]:
        attributes: dict[str, str | int] = {**attributes_of(route)}
        by = self.connection.closed_by
        named = isinstance(by, str) and by not in _KNOWN_AUTHORS
        attributes[names.CLOSED_BY] = names.OTHER if named else outcome.closed_by
        if outcome.error_type is not None:
            by_code = outcome.error is None and outcome.status == 101
            attributes[names.ERROR_TYPE] = (
                self._known_code(outcome.code) if by_code else outcome.error_type
            )
        return attributes

    def _known_code(self, code: int | None) -> str:
        return str(code) if code in CLOSE_CODES or code in self.close_codes else names.OTHER
