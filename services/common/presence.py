"""The presence of a worker: a record in the cache that it renews, and that expires soon after it stops."""

from collections.abc import Iterable, Mapping
from typing import Final, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

WORKERS: Final = "workers"  # the folder in the cache
BEAT_SECONDS: Final = 3.0
FORGOTTEN_SECONDS: Final = 10.0  # a little more than three beats

Phase = Literal["loading", "ready", "busy", "disconnected", "draining", "unavailable"]
PHASES: Final[tuple[Phase, ...]] = get_args(Phase)


class Pace(BaseModel):
    """The speed of calls for items of one bucket, in seconds a unit; `spread` is the share by which they differ.

    `call` is for the whole call and `each` for one item of it; `Cost` says what a bucket and a unit are.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    call: float
    each: float
    spread: float


class Presence(BaseModel):
    """One of the models that a worker serves; `since` is when the phase began, in Unix seconds.

    `paces` are by bucket, see `Cost`. `load_seconds` is the time before the first call of a model that is not loaded
    at the moment, as far as it is known. `waiting` are the ids of jobs that a worker of several models holds and has
    not begun: they may wait for calls of another model.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    worker_id: str
    model: str
    phase: Phase
    since: float
    max_batch: int = 1
    paces: Mapping[str, Pace] = Field(default_factory=dict)
    load_seconds: float = 0.0
    waiting: tuple[str, ...] = ()

    @property
    def takes_jobs(self) -> bool:
        return self.phase in ("ready", "busy")

    @property
    def serves(self) -> bool:
        """True if this worker makes the jobs of the model, now or when it is loaded."""
        return self.takes_jobs or self.phase == "loading"


def read_presences(found: Iterable[bytes]) -> list[Presence]:
    """Return the presences that can be read: a worker of another version may run, too."""
    presences: list[Presence] = []
    for body in found:
        try:
            presences.append(Presence.model_validate_json(body))
        except ValidationError:
            continue
    return presences
