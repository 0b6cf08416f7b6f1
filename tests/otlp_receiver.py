"""A collector that keeps what it is sent by OTLP over HTTP."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

KINDS: dict[str, type[Any]] = {
    "/v1/traces": ExportTraceServiceRequest,
    "/v1/metrics": ExportMetricsServiceRequest,
    "/v1/logs": ExportLogsServiceRequest,
}


def plain(attributes: Sequence[Any]) -> dict[str, Any]:
    """Read attributes that have a value."""
    values = {each.key: (each.value, each.value.WhichOneof("value")) for each in attributes}
    return {key: getattr(value, kind) for key, (value, kind) in values.items() if kind}


class Receiver:
    """What came, and when to answer."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.requests: list[tuple[str, Any]] = []
        self.may_answer = threading.Event()
        self.may_answer.set()

    @property
    def paths(self) -> set[str]:
        return {path for path, _ in self.requests}

    @property
    def services(self) -> set[str]:
        """The `service.name` of each resource that reported."""
        resources = [
            each.resource
            for _, request in self.requests
            for kind in ("resource_spans", "resource_metrics", "resource_logs")
            for each in getattr(request, kind, ())
        ]
        return {plain(each.attributes)["service.name"] for each in resources}

    @property
    def spans(self) -> list[Any]:
        return [
            span
            for path, request in self.requests
            if path == "/v1/traces"
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    @property
    def logs(self) -> list[Any]:
        return [
            record
            for path, request in self.requests
            if path == "/v1/logs"
            for resource in request.resource_logs
            for scope in resource.scope_logs
            for record in scope.log_records
        ]

    @property
    def metrics(self) -> dict[str, Any]:
        """The metrics by name, each as it came last."""
        return {
            metric.name: metric
            for path, request in self.requests
            if path == "/v1/metrics"
            for resource in request.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Run a collector on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            receiver.requests.append((self.path, KINDS[self.path].FromString(body)))
            receiver.may_answer.wait()
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            pass  # who asked has given up, as some tests have it

    with Server(("127.0.0.1", 0), Handler) as server:
        receiver = Receiver(f"http://127.0.0.1:{server.server_port}")
        serving = threading.Thread(target=server.serve_forever, args=(0.01,))
        serving.start()
        try:
            yield receiver
        finally:
            receiver.may_answer.set()
            server.shutdown()
            serving.join()
