"""Open the tracer of a process: one that sends spans, where the environment says where to.

Spans are sent with the extra `otel` installed and an OTEL_* variable that names a collector.
https://opentelemetry.io/docs/specs/otel/
"""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

import structlog

from services.common.telemetry.tracing import Tracer

log = structlog.get_logger(__name__)

DESTINATIONS: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
FLUSH_SECONDS: Final = 3.0  # at the end, for a collector that does not answer


@asynccontextmanager
async def open_tracer(service: str, environ: Mapping[str, str] = os.environ) -> AsyncIterator[Tracer]:
    """Open the tracer of this process, and send the spans that are left at the end.

    `service` is the service's name unless OTEL_SERVICE_NAME gives another.
    """
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
        # The exporter has no deadline that holds, and a thread that is no daemon would keep the process.
        flushing = threading.Thread(target=provider.shutdown, name="traces", daemon=True)
        flushing.start()
        await asyncio.to_thread(flushing.join, FLUSH_SECONDS)
