"""What OpenTelemetry's SDK and structlog take by themselves for what is told of a connection.

Stages that tell as much cannot cost less than this, whatever they do.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

import structlog
from opentelemetry.trace import SpanKind

if TYPE_CHECKING:
    from benchmarks.telemetry import Telemetry

REQUEST: Final[dict[str, str | int]] = {
    "http.request.method": "GET",
    "url.scheme": "wss",
    "url.path": "/",
    "url.query": "room=[redacted]",
    "server.address": "chat.example",
    "server.port": 443,
    "client.address": "192.0.2.1",
    "client.port": 50_000,
    "network.protocol.version": "1.1",
    "user_agent.original": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "wspipe.connection.id": "0123456789abcdef",
}
LINE: Final = {
    "connection_id": "0123456789abcdef",
    "path": "/",
    "client": "192.0.2.1:50000",
    "user_agent": REQUEST["user_agent.original"],
    "query": "room=[redacted]",
    "subprotocol": None,
    "trace_id": "0123456789abcdef0123456789abcdef",
    "span_id": "0123456789abcdef",
}
LAST_LINE: Final = {
    **LINE,
    "status": 101,
    "duration": 0.001,
    "messages_received": 0,
    "messages_sent": 0,
    "bytes_received": 0,
    "bytes_sent": 0,
    "code": 1001,
    "reason": "",
    "closed_by": "client",
}


class Libraries:
    """An echo on raw ASGI that starts and ends a span, writes two lines and records a duration.

    The values are constants, and nothing is done besides: no escaping, no secret hidden, no headers
    read for a parent, nothing made current, nothing counted.
    """

    def __init__(self, telemetry: Telemetry) -> None:
        self.tracer = telemetry.tracers.get_tracer("benchmarks")
        self.duration = telemetry.meters.get_meter("benchmarks").create_histogram("duration", "s")

    async def __call__(self, _scope: Any, receive: Any, send: Any) -> None:
        """Echo text."""
        logger = structlog.get_logger("benchmarks").bind()
        started = perf_counter()
        span = self.tracer.start_span("GET", None, SpanKind.SERVER, REQUEST)
        await receive()
        await send({"type": "websocket.accept"})
        logger.info("websocket.open", **LINE)
        span.set_attribute("http.response.status_code", 101)
        span.end()
        while (event := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": event["text"]})
        attributes = {"wspipe.closed_by": "client", "wspipe.close_code": "1001"}
        self.duration.record(perf_counter() - started, attributes)
        logger.info("websocket.close", **LAST_LINE)
