"""`Metrics`: OpenTelemetry metrics of connections and messages."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar

from opentelemetry.metrics import MeterProvider, NoOpMeterProvider

from wspipe import ASGIConnection, Composable, ImproperlyConfiguredException, Receive, Send
from wspipe_middlewares.metrics.connection import ConnectionMetrics
from wspipe_middlewares.metrics.messages import MessageMetrics
from wspipe_middlewares.metrics.recorder import Recorder, recorder_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from wspipe import Middleware

__all__ = ["Metrics"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics(Composable):
    """Count and time connections and messages, for the meter provider's exporter.

    Messages and bytes come from the engine's tally, which an export reads: unless an option asks
    for a histogram of single messages, nothing is wrapped, and a message costs nothing more.

    No attribute tells a user, an address or an id; a close code or an author that is not one of a
    few known ones is `_OTHER`. All names are in `wspipe_middlewares.names`.

    A second one of the same provider in a pipeline does nothing. In nested pipelines, around the
    application and within it, each counts for itself.

    # Order

    Put it before whatever may reject, so that it counts rejections too.

    Args:
        message_size: Record `wspipe.message.size`, the bytes of each message.
        process_duration: Record `wspipe.message.process.duration`, the time from a message's
            delivery to the application's next receive, in seconds; only where that receives in
            the task it was started in, because elsewhere nothing tells.
        send_duration: Record `wspipe.send.duration`, the time of each send, in seconds.
        close_codes: The application's own close codes (3000 to 4999), to be told apart.
        meter_provider: By default the global one.

    Raises:
        ImproperlyConfiguredException: A close code is not one of an application.
    """

    observes: ClassVar[bool] = True
    message_size: bool = False
    process_duration: bool = False
    send_duration: bool = False
    close_codes: frozenset[int] = frozenset()
    meter_provider: MeterProvider | None = None
    _recorder: Recorder = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse what could not work; find what connections share."""
        for code in self.close_codes:
            if not 3000 <= code <= 4999:
                raise ImproperlyConfiguredException(
                    detail=f"close_codes has codes from 3000 to 4999, not {code!r}"
                )
        object.__setattr__(self, "_recorder", recorder_of(self.meter_provider))

    def review(self, before: Sequence[Middleware], behind: Sequence[Middleware]) -> Iterator[str]:
        """Advise on its place in a pipeline: see `wspipe.Middleware`."""
        del behind
        for other in before:
            if isinstance(other, Metrics) and other._recorder is self._recorder:  # noqa: SLF001
                yield "counts nothing: a Metrics of the same meter provider is before it"
                return

    def rehearsal(self) -> Metrics:
        """Give a copy to be measured, which nobody exports: see `wspipe.Middleware`."""
        return replace(self, meter_provider=NoOpMeterProvider())

    def __call__(
        self, connection: ASGIConnection, receive: Receive, send: Send
    ) -> tuple[Receive, Send]:
        """Count the connection; wrap what is measured message by message."""
        if not self._recorder.claim(connection):
            return receive, send
        ConnectionMetrics(connection, self._recorder, self.close_codes)
        if not (self.message_size or self.process_duration or self.send_duration):
            return receive, send
        messages = MessageMetrics(connection, self._recorder)
        if self.process_duration:
            receive = messages.timed_receive(receive)
        if self.send_duration:
            send = messages.timed_send(send)
        if self.message_size:
            receive, send = messages.sized_receive(receive), messages.sized_send(send)
        return receive, send
