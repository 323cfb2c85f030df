"""Tracers, as the services call them; this one does nothing and costs next to nothing."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Final, Literal

from services.common.schemas import JobMessage

Kind = Literal["server", "producer", "consumer", "internal"]
Attributes = Mapping[str, str | int]

_NOTHING: Final = nullcontext()


class Tracer:
    """A tracer that makes no spans. Its docstrings say what the methods of `OtelTracer` do."""

    enabled: bool = False  # ask before working out attributes

    def span(
        self,
        name: str,  # noqa: ARG002
        kind: Kind = "internal",  # noqa: ARG002
        headers: Mapping[str, str] | None = None,  # noqa: ARG002
        attributes: Attributes | None = None,  # noqa: ARG002
    ) -> AbstractContextManager[None]:
        """Make a span of the block: a child of the span around it or, with `headers`, of the span they name.

        With `headers`, every line logged inside has its `trace_id`.
        """
        return _NOTHING

    def past(self, name: str, begin: int, end: int) -> None:
        """Add a child that is over already; `begin` and `end` in nanoseconds since 1970."""

    def note(self, attributes: Attributes, *, name: str | None = None) -> None:
        """Add attributes to the current span, and rename it with `name`."""

    def headers(self) -> dict[str, str]:
        """Return the headers that name the current span to another process: https://www.w3.org/TR/trace-context/."""
        return {}


def message_attributes(operation: Literal["send", "process"], message: JobMessage) -> dict[str, str | int]:
    """Return the attributes of a span about a message: https://opentelemetry.io/docs/specs/semconv/messaging/rabbitmq/."""
    return {
        "messaging.system": "rabbitmq",  # the embedded queue is a stand-in for it
        "messaging.operation.type": operation,
        "messaging.operation.name": operation,
        "messaging.destination.name": "studio.jobs",
        "messaging.message.id": message.message_id,
        "messaging.message.conversation_id": message.job_id,
        "studio.model": message.model,
    }
