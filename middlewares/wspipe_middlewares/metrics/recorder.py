"""What the metrics of one process share: the instruments, and the counts of each route."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, field
from importlib.metadata import version
from operator import attrgetter
from threading import Lock
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary, WeakSet

from opentelemetry.metrics import (
    CallbackOptions,
    Counter,
    Histogram,
    Meter,
    MeterProvider,
    Observation,
    get_meter,
    get_meter_provider,
)

from wspipe import Traffic
from wspipe_middlewares import names
from wspipe_middlewares.decisions import DECISIONS, Decisions
from wspipe_middlewares.outcome import type_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wspipe import ASGIConnection

# Which count of the tally goes by which direction and type.
_MESSAGES: Final = {
    "text_received": ("receive", "text"),
    "binary_received": ("receive", "binary"),
    "text_sent": ("transmit", "text"),
    "binary_sent": ("transmit", "binary"),
}
_BYTES: Final = {
    "text_bytes_received": ("receive", "text"),
    "binary_bytes_received": ("receive", "binary"),
    "text_bytes_sent": ("transmit", "text"),
    "binary_bytes_sent": ("transmit", "binary"),
}


@dataclass(slots=True)
class _Route:
    """What passed over a route: by the connections that have ended, and by each that is open."""

    ended: Traffic = field(default_factory=Traffic)
    live: dict[int, Traffic] = field(default_factory=dict[int, Traffic])


class Recorder:
    """The instruments of a meter provider, and the counts that it asks for at each export.

    The engine counts the messages, so nothing is done here for one. The exporter asks in a thread
    of its own. It gets a snapshot, made under a lock, so that a connection that ends meanwhile
    counts just once.

    Args:
        provider: Makes the instruments; `None` stands for the global one.
    """

    def __init__(self, provider: MeterProvider | None) -> None:
        self._lock = Lock()
        self._routes: dict[str | None, _Route] = {}
        self._decisions: dict[str, Decisions] = {}
        self._claimed: WeakSet[ASGIConnection] = WeakSet()
        meter = get_meter("wspipe", version("wspipe"), provider, names.SCHEMA_URL)
        self.duration: Histogram = _histogram(meter, names.DURATION)
        self.size: Histogram = _histogram(meter, names.SIZE)
        self.process_duration: Histogram = _histogram(meter, names.PROCESS_DURATION)
        self.send_duration: Histogram = _histogram(meter, names.SEND_DURATION)
        self.rejected: Counter = meter.create_counter(
            names.REJECTED.name, names.REJECTED.unit, names.REJECTED.description
        )
        self._store_errors = meter.create_counter(
            names.STORE_ERRORS.name, names.STORE_ERRORS.unit, names.STORE_ERRORS.description
        )
        meter.create_observable_up_down_counter(
            names.ACTIVE.name, [self._active], names.ACTIVE.unit, names.ACTIVE.description
        )
        for metric, callback in (
            (names.MESSAGES, self._messages),
            (names.MESSAGE_BYTES, self._bytes),
            (names.DECISIONS, self._decided),
        ):
            meter.create_observable_counter(
                metric.name, [callback], metric.unit, metric.description
            )

    def claim(self, connection: ASGIConnection) -> bool:
        """Take a connection for counting; false where another `Metrics` has it already."""
        with self._lock:
            if connection in self._claimed:
                return False
            self._claimed.add(connection)
            return True

    def begin(self, route: str | None, traffic: Traffic) -> None:
        """Count in a connection that was accepted.

        Args:
            route: The pattern of its route.
            traffic: What it counts in.
        """
        with self._lock:
            if route not in self._routes:
                self._routes[route] = _Route()
            self._routes[route].live[id(traffic)] = traffic

    def end(self, route: str | None, traffic: Traffic) -> None:
        """Count out a connection that has ended; what passed over it stays counted.

        Args:
            route: The pattern of its route.
            traffic: What it counted in.
        """
        with self._lock:
            tally = self._routes[route]
            del tally.live[id(traffic)]
            tally.ended.add(traffic)

    def decisions(self, limit: str) -> Decisions:
        """Give where the decisions of a rate limit are counted.

        Args:
            limit: Its name; limits of the same name count together.
        """
        with self._lock:
            return self._decisions.setdefault(limit, Decisions())

    def store_failed(self, limit: str, error: Exception) -> None:
        """Count an error of a rate limit's store.

        Args:
            limit: The limit's name.
            error: The error.
        """
        self._store_errors.add(1, {names.RATE_LIMIT: limit, names.ERROR_TYPE: type_of(error)})

    def _snapshot(self) -> list[tuple[dict[str, str], Traffic, list[Traffic]]]:
        with self._lock:
            return [
                (attributes_of(route), copy(tally.ended), list(tally.live.values()))
                for route, tally in self._routes.items()
            ]

    def _active(self, _: CallbackOptions) -> Iterator[Observation]:
        for attributes, _ended, live in self._snapshot():
            yield Observation(len(live), attributes)

    def _messages(self, _: CallbackOptions) -> Iterator[Observation]:
        return self._passed(_MESSAGES)

    def _bytes(self, _: CallbackOptions) -> Iterator[Observation]:
        return self._passed(_BYTES)

    def _decided(self, _: CallbackOptions) -> Iterator[Observation]:
        with self._lock:
            limits = list(self._decisions.items())
        for limit, decisions in limits:
            for decision in DECISIONS:
                if count := getattr(decisions, decision):
                    yield Observation(count, {names.RATE_LIMIT: limit, names.DECISION: decision})

    def _passed(self, counts: dict[str, tuple[str, str]]) -> Iterator[Observation]:
        for attributes, ended, live in self._snapshot():
            for count, (direction, kind) in counts.items():
                read = attrgetter(count)
                yield Observation(
                    read(ended) + sum(map(read, live)),
                    {**attributes, names.DIRECTION: direction, names.MESSAGE_TYPE: kind},
                )


def _histogram(meter: Meter, metric: names.Metric) -> Histogram:
    return meter.create_histogram(
        metric.name,
        metric.unit,
        metric.description,
        explicit_bucket_boundaries_advisory=metric.buckets,
    )


def attributes_of(route: str | None) -> dict[str, str]:
    """Give the attributes that tell the route, none where there is no pattern."""
    return {} if route is None else {names.ROUTE: route}


_of_global_provider: list[Recorder] = []
_of_providers: WeakKeyDictionary[MeterProvider, Recorder] = WeakKeyDictionary()
_making = Lock()


def recorder_of(provider: MeterProvider | None) -> Recorder:
    """Give the one recorder of a provider: a second instrument of a name would never be asked.

    Args:
        provider: A meter provider; `None` stands for the global one, whichever that becomes.
    """
    with _making:
        if provider is None or provider is get_meter_provider():
            if not _of_global_provider:
                _of_global_provider.append(Recorder(None))
            return _of_global_provider[0]
        if provider not in _of_providers:
            _of_providers[provider] = Recorder(provider)
        return _of_providers[provider]
