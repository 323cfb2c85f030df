"""What a worker tells of itself in the cache, again and again: when it stops, it is soon not there any more."""

from collections.abc import Iterable, Mapping
from typing import Final, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

WORKERS: Final = "workers"  # the folder in the cache
BEAT_SECONDS: Final = 3.0
FORGOTTEN_SECONDS: Final = 10.0  # a little more than three beats

Phase = Literal["loading", "ready", "busy", "disconnected", "draining"]
PHASES: Final[tuple[Phase, ...]] = get_args(Phase)


class Pace(BaseModel):
    """How fast calls for things of one size are: seconds a step, and by which share of it they differ.

    `call` is for the whole call and `each` for one of the things made in it. By step, because a call takes about as
    long as it has steps; by size, because what a picture takes does not grow with its pixels alike on all models.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    call: float
    each: float
    spread: float


class Presence(BaseModel):
    """`since` is when the phase began, in Unix seconds; `paces` are by size, see workload.py."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    worker_id: str
    model: str
    phase: Phase
    since: float
    max_batch: int = 1
    paces: Mapping[str, Pace] = Field(default_factory=dict)

    @property
    def takes_jobs(self) -> bool:
        return self.phase in ("ready", "busy")


def read_presences(found: Iterable[bytes]) -> list[Presence]:
    """Those that are understood: another version of a worker may be about."""
    presences: list[Presence] = []
    for body in found:
        try:
            presences.append(Presence.model_validate_json(body))
        except ValidationError:
            continue
    return presences
