"""`Tracing`: OpenTelemetry spans of handshakes, connections and messages."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from importlib.metadata import version
from typing import ClassVar, Final, Literal

from opentelemetry.trace import (
    NoOpTracerProvider,
    Tracer,
    TracerProvider,
    get_tracer,
    get_tracer_provider,
)

from wspipe import ASGIConnection, Composable, ImproperlyConfiguredException, Receive, Send
from wspipe_middlewares.names import SCHEMA_URL
from wspipe_middlewares.options import check_choice
from wspipe_middlewares.tracing.carrier import Carrier, JSONField
from wspipe_middlewares.tracing.connection import ConnectionTrace
from wspipe_middlewares.tracing.messages import MessageTrace

__all__ = ["Carrier", "JSONField", "Tracing"]

_SPANS: Final = ("handshake", "connection")
_MESSAGES: Final = ("off", "receive", "all")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracing(Composable):
    """Trace handshakes, and connections and messages where wanted.

    A connection has one span, of kind SERVER, whose parent comes from the request headers by the
    propagator in use (W3C Trace Context by default). It is current for the application until it
    ends or the handshake is answered. It is named and described by OpenTelemetry's conventions
    for HTTP servers, with the status 101 for an accept. Where a span of this process is current
    already, that is the parent, and the kind INTERNAL.

    A message's span is a root of its own, linked to the connection's, so that a long session does
    not become one endless trace. For a message received it is of kind CONSUMER and lasts from the
    delivery to the application's next receive, and is current meanwhile, where the application
    receives in the task that it was started in; elsewhere nothing tells how long a message is
    worked on, and the span has no length. For a message sent it is of kind PRODUCER and times the
    send; it hangs under the span that is current, if any.

    Without `messages` nothing is wrapped, so that a message costs nothing more.

    # Order

    Put it behind `Logging` and before whatever may reject, so that it sees rejections too.

    Args:
        span: Until when the connection's span lasts: `"handshake"` until the answer, `"connection"`
            until the end, with the counts and how it ended.
        messages: The messages to trace: `"off"`, `"receive"` or `"all"`. None are where the
            connection's span is not sampled.
        ratio: The share of messages to trace, 0 to 1, before the SDK's sampler decides as well.
            A message sent while another is handled is traced just where that one is.
        carrier: Reads and writes trace context inside messages, such as `JSONField()`. A
            message's span has the context that it carries as its parent.
        redact: Further query parameters to hide; case, `-` and `_` do not matter.
        tracer_provider: By default the global one.

    Raises:
        ImproperlyConfiguredException: An option has no such value.
    """

    observes: ClassVar[bool] = True
    span: Literal["handshake", "connection"] = "handshake"
    messages: Literal["off", "receive", "all"] = "off"
    ratio: float = 1.0
    carrier: Carrier | None = None
    redact: frozenset[str] = frozenset()
    tracer_provider: TracerProvider | None = None
    _tracer: Tracer = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse what could not work; make what connections share."""
        check_choice("span", self.span, _SPANS)
        check_choice("messages", self.messages, _MESSAGES)
        if not 0 <= self.ratio <= 1:
            raise ImproperlyConfiguredException(detail=f"ratio is 0 to 1, not {self.ratio!r}")
        if self.carrier is not None and not (
            callable(getattr(self.carrier, "read", None))
            and callable(getattr(self.carrier, "write", None))
        ):
            raise ImproperlyConfiguredException(
                detail=f"a carrier has the methods read and write, such as JSONField(); "
                f"{self.carrier!r} has not"
            )
        if self.carrier is not None and self.messages == "off":
            raise ImproperlyConfiguredException(
                detail="a carrier needs traced messages: messages='receive' or 'all'"
            )
        tracer = get_tracer("wspipe", version("wspipe"), self.tracer_provider, SCHEMA_URL)
        object.__setattr__(self, "_tracer", tracer)

    def __call__(
        self, connection: ASGIConnection, receive: Receive, send: Send
    ) -> tuple[Receive, Send]:
        """Begin the connection's span; wrap what is traced message by message."""
        trace = ConnectionTrace(
            connection,
            self._tracer,
            whole=self.span == "connection",
            messages=self.messages != "off",
            redact=self.redact,
        )
        if self.messages == "off" or not trace.sampled:
            return receive, send
        messages = MessageTrace(trace, self._tracer, self.ratio, self.carrier)
        if self.messages == "receive":
            return messages.traced_receive(receive), send
        return messages.traced_receive(receive), messages.traced_send(send)

    def rehearsal(self) -> Tracing:
        """Give a copy to be measured, whose spans nobody exports: see `wspipe.Middleware`."""
        provider = self.tracer_provider or get_tracer_provider()
        try:
            # Of the SDK's: one that samples as the environment says, and has no exporter.
            fresh = type(provider)()
        except TypeError:
            fresh = NoOpTracerProvider()
        return replace(self, tracer_provider=fresh)
