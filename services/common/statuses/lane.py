"""A lane of live jobs, as a status store shows it to the sweeper."""

from dataclasses import dataclass

from services.common.schemas import StatusRecord


@dataclass(frozen=True)
class Lane:
    """One of a model's lanes, with what tells whose message is gone.

    `jobs` are live ones without a lease: those whose lease ran out and was not renewed for as long again, then the
    queued ones as they were published last. `passed` are the ids of those that were published before one that was
    begun already. `leased` are the ids of all others.
    """

    model: str
    bulk: bool
    jobs: tuple[StatusRecord, ...]
    passed: frozenset[str]
    leased: frozenset[str]
