"""Spans of OpenTelemetry, where they are wanted: the extra `otel` installed, and an OTEL_* variable saying where to.

Without that, a tracer does nothing and costs next to nothing. https://opentelemetry.io/docs/specs/otel/
"""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from typing import Final, Literal

import structlog

from services.common.schemas import JobMessage

log = structlog.get_logger(__name__)

Kind = Literal["server", "producer", "consumer", "internal"]
Attributes = Mapping[str, str | int]

DESTINATIONS: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
FLUSH_SECONDS: Final = 3.0  # at the end, for a collector that does not answer
_NOTHING: Final = nullcontext()


class Tracer:
    """Makes no spans. What the methods of one that does mean is said here, and they are in `otel_tracer.py`."""

    enabled: bool = False  # ask before working out attributes

    def span(
        self,
        name: str,  # noqa: ARG002
        kind: Kind = "internal",  # noqa: ARG002
        headers: Mapping[str, str] | None = None,  # noqa: ARG002
        attributes: Attributes | None = None,  # noqa: ARG002
    ) -> AbstractContextManager[None]:
        """Around what the span is of: a child of the one around it, or, with `headers`, of the one they tell of.

        One that is a server's or a consumer's puts its `trace_id` into every line logged inside.
        """
        return _NOTHING

    def past(self, name: str, begin: int, end: int) -> None:
        """A child that is over already; in nanoseconds since 1970."""

    def note(self, attributes: Attributes, *, name: str | None = None) -> None:
        """Add to the span around this, or give it its name."""

    def headers(self) -> dict[str, str]:
        """What tells another process of the span around this: https://www.w3.org/TR/trace-context/."""
        return {}


def message_attributes(operation: Literal["send", "process"], message: JobMessage) -> dict[str, str | int]:
    """Of a span about a message: https://opentelemetry.io/docs/specs/semconv/messaging/rabbitmq/."""
    return {
        "messaging.system": "rabbitmq",  # the embedded queue is a stand-in for it
        "messaging.operation.type": operation,
        "messaging.operation.name": operation,
        "messaging.destination.name": "studio.jobs",
        "messaging.message.id": message.message_id,
        "messaging.message.conversation_id": message.job_id,
        "studio.model": message.model,
    }


@asynccontextmanager
async def open_tracer(service: str, environ: Mapping[str, str] = os.environ) -> AsyncIterator[Tracer]:
    """For the process; sends what is left at the end. `service` is its name where OTEL_SERVICE_NAME does not say."""
    disabled = environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or environ.get("OTEL_TRACES_EXPORTER") == "none"
    if disabled or not any(environ.get(name) for name in DESTINATIONS):
        yield Tracer()
        return
    try:
        from services.common.telemetry.otel_tracer import OtelTracer, exporting_provider
    except ImportError as exc:
        log.warning("no traces are sent: install the extra `otel`", reason=str(exc))
        yield Tracer()
        return
    provider = exporting_provider(service)
    try:
        yield OtelTracer(provider)
    finally:
        # It has no deadline that holds, and a thread that is no daemon would keep the process.
        flushing = threading.Thread(target=provider.shutdown, name="traces", daemon=True)
        flushing.start()
        await asyncio.to_thread(flushing.join, FLUSH_SECONDS)
