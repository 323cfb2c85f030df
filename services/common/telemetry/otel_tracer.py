"""The tracer that makes spans: the only module that imports OpenTelemetry."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import structlog
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from services import __version__
from services.common.telemetry.tracing import Attributes, Kind, Tracer

_KINDS: Final = {
    "server": SpanKind.SERVER,
    "producer": SpanKind.PRODUCER,
    "consumer": SpanKind.CONSUMER,
    "internal": SpanKind.INTERNAL,
}


class OtelTracer(Tracer):
    enabled = True

    def __init__(self, provider: TracerProvider) -> None:
        self._tracer = provider.get_tracer("studio", __version__)
        self._propagator = TraceContextTextMapPropagator()

    @contextmanager
    def span(
        self,
        name: str,
        kind: Kind = "internal",
        headers: Mapping[str, str] | None = None,
        attributes: Attributes | None = None,
    ) -> Iterator[None]:
        parent = None if headers is None else self._propagator.extract(headers, Context())
        with self._tracer.start_as_current_span(
            name,
            parent,
            _KINDS[kind],
            attributes,
            # The text of an exception may repeat what a client sent.
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            logged = {"trace_id": trace.format_trace_id(span.get_span_context().trace_id)} if parent is not None else {}
            try:
                with structlog.contextvars.bound_contextvars(**logged):
                    yield
            except Exception as exc:
                span.set_attribute("error.type", type(exc).__qualname__)
                span.set_status(Status(StatusCode.ERROR))
                raise

    def past(self, name: str, begin: int, end: int) -> None:
        self._tracer.start_span(name, start_time=begin).end(end)

    def note(self, attributes: Attributes, *, name: str | None = None) -> None:
        span = trace.get_current_span()
        span.set_attributes(attributes)
        if name is not None:
            span.update_name(name)
        if "error.type" in attributes:
            span.set_status(Status(StatusCode.ERROR))

    def headers(self) -> dict[str, str]:
        carrier: dict[str, str] = {}
        self._propagator.inject(carrier)
        return carrier


def exporting_provider(service: str) -> TracerProvider:
    """Return a provider that sends spans by OTLP over HTTP, in a thread; OTEL_* variables say where and how often."""
    resource = Resource.create({"service.version": __version__})
    if str(resource.attributes["service.name"]).startswith("unknown_service"):
        resource = resource.merge(Resource({"service.name": service}))
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider
