"""Receives spans in tests: a collector of OpenTelemetry's protocol over HTTP, which keeps them in memory."""

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue


@dataclass(frozen=True)
class Span:
    """A span; ids are hexadecimal, and `parent` is empty for the first span of a trace."""

    service: str
    name: str
    trace_id: str
    span_id: str
    parent: str
    attributes: dict[str, str | int]
    failed: bool


class Collector:
    def __init__(self, url: str) -> None:
        self.url = url
        self.received: list[Span] = []
        self._changed = threading.Condition()

    def add(self, spans: Iterable[Span]) -> None:
        with self._changed:
            self.received += spans
            self._changed.notify_all()

    def of_trace(self, trace_id: str, names: Sequence[str], seconds: float = 15) -> list[Span]:
        """Wait until the trace has a span of each of these names, and return all its spans."""

        def found() -> list[Span]:
            return [span for span in self.received if span.trace_id == trace_id]

        with self._changed:
            assert self._changed.wait_for(lambda: {span.name for span in found()} >= set(names), seconds), found()
            return found()

    def environment(self) -> dict[str, str]:
        """Return the variables that make a service send its spans here within 0.1 s."""
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": self.url, "OTEL_BSP_SCHEDULE_DELAY": "100"}


@contextmanager
def collecting() -> Iterator[Collector]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            body = self.rfile.read(int(self.headers["Content-Length"]))
            collector.add(_spans(ExportTraceServiceRequest.FromString(body)))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        collector = Collector(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield collector
        finally:
            server.shutdown()
            thread.join()


def _spans(request: ExportTraceServiceRequest) -> Iterator[Span]:
    for resource in request.resource_spans:
        service = str(_plain(resource.resource.attributes)["service.name"])
        for scope in resource.scope_spans:
            for span in scope.spans:
                ids = span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex()
                failed = span.status.code == span.status.STATUS_CODE_ERROR
                yield Span(service, span.name, *ids, _plain(span.attributes), failed)


def _plain(attributes: Sequence[KeyValue]) -> dict[str, str | int]:
    return {each.key: each.value.string_value or each.value.int_value for each in attributes}
