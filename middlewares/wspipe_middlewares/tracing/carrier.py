"""Trace context inside messages: who reads and writes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

import orjson
from opentelemetry.context import Context
from opentelemetry.trace import INVALID_SPAN, Span, get_current_span, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from wspipe import ImproperlyConfiguredException

if TYPE_CHECKING:
    from wspipe import Event

_PROPAGATOR: Final = TraceContextTextMapPropagator()
_LONGEST: Final = 256


class Carrier(Protocol):
    """Where a message carries its `traceparent` (W3C Trace Context, section 3.2)."""

    def read(self, event: Event) -> str | None:
        """Give the `traceparent` of a received message, `None` where it has none.

        Args:
            event: The `websocket.receive`.
        """
        ...

    def write(self, event: Event, traceparent: str) -> Event:
        """Give the event that carries it, or the event as it is where it cannot.

        Args:
            event: The `websocket.send`.
            traceparent: What it is to carry.
        """
        ...


@dataclass(frozen=True, slots=True)
class JSONField:
    """A field of the JSON object that a message is.

    What is no JSON object, or is longer than `limit`, is left alone. Written is only where the
    object lacks the field, as its first; the rest of the message stays as it is, byte for byte.

    Args:
        name: The name of the field.
        limit: The longest message to look into, in characters of text or bytes of binary data.

    Raises:
        ImproperlyConfiguredException: The name is empty, or the limit not positive.
    """

    name: str = "traceparent"
    limit: int = 65536

    def __post_init__(self) -> None:
        """Refuse what could not work."""
        if not self.name:
            raise ImproperlyConfiguredException(detail="the carrier's field needs a name")
        if self.limit < 1:
            raise ImproperlyConfiguredException(
                detail=f"the carrier's limit is 1 or more, not {self.limit}"
            )

    def read(self, event: Event) -> str | None:
        """Give the field's value, `None` where it is missing or no text.

        Args:
            event: The `websocket.receive`.
        """
        _, _, fields = self._open(event)
        value = fields.get(self.name) if fields else None
        return value if isinstance(value, str) else None

    def write(self, event: Event, traceparent: str) -> Event:
        """Put the field before the others.

        Args:
            event: The `websocket.send`.
            traceparent: What it is to carry.
        """
        key, data, fields = self._open(event)
        if fields is None or self.name in fields:
            return event
        field = orjson.dumps({self.name: traceparent})[:-1] + (b"," if fields else b"")
        added = field if key == "bytes" else field.decode()
        start = data.index(added[:1])
        return {**event, key: data[:start] + added + data[start + 1 :]}

    def _open(self, event: Event) -> tuple[str, Any, dict[str, Any] | None]:
        key = "text" if event.get("bytes") is None else "bytes"
        data = event.get(key)
        if not isinstance(data, str | bytes) or len(data) > self.limit:
            return key, data, None
        try:
            value: object = orjson.loads(data)
        except ValueError:
            return key, data, None
        return key, data, cast("dict[str, Any]", value) if isinstance(value, dict) else None


def carried_span(carrier: Carrier, event: Event) -> Span:
    """Give the remote span that a message names, `INVALID_SPAN` where it names none properly.

    Args:
        carrier: Reads it.
        event: The message.
    """
    traceparent = carrier.read(event)
    if not isinstance(traceparent, str) or len(traceparent) > _LONGEST:
        return INVALID_SPAN
    return get_current_span(_PROPAGATOR.extract({"traceparent": traceparent}, Context()))


def naming_span(carrier: Carrier, event: Event, span: Span) -> Event:
    """Give a message that names its span.

    Args:
        carrier: Writes it.
        event: The message.
        span: The span.
    """
    fields: dict[str, str] = {}
    _PROPAGATOR.inject(fields, set_span_in_context(span, Context()))
    written: object = carrier.write({**event}, fields["traceparent"])
    if not isinstance(written, dict) or "type" not in written or written["type"] != event["type"]:
        raise TypeError(f"{carrier!r} wrote {written!r}, which is no message")
    return cast("Event", written)
