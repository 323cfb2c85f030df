"""Says how busy the studio is, in a few words beside the button, before a person submits."""

from dataclasses import dataclass
from typing import Self

from services.api.core.model_queue import ModelQueue
from services.api.pages.eta_words import eta_words


@dataclass(frozen=True)
class BusyBadge:
    """The badge of one model. `mood` is ready, busy, loading, full, away (no worker) or unknown."""

    model: str
    mood: str
    text: str

    @classmethod
    def of(cls, model: str, queue: ModelQueue | None, queue_limit: int) -> Self:
        """Build the badge from the model's queue, which is None when it cannot be read."""
        if queue is None:
            return cls(model, "unknown", "Waiting time unknown")
        if queue.queued >= queue_limit:
            return cls.full(model)
        ahead = queue.queued + queue.running
        waiting = f"{ahead} ahead" if ahead else ""
        if not queue.taking_jobs:
            mood, text = ("loading", "Warming up") if queue.loading else ("away", "No worker yet")
            return cls(model, mood, _joined(text, waiting))
        eta = eta_words(queue.eta())
        return cls(model, "busy" if ahead else "ready", _joined(waiting or "Ready", eta))

    @classmethod
    def full(cls, model: str) -> Self:
        return cls(model, "full", "Full just now")


def _joined(*parts: str) -> str:
    return ", ".join(part for part in parts if part)
