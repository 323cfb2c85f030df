"""A fault, and what has to hold while it is there and after it."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from tests.faults.backends import Backend, Ground
from tests.faults.fleet import Crew
from tests.faults.job_watcher import Watcher
from tests.faults.load_client import Load, Wish
from tests.support.system import System


@dataclass(frozen=True)
class Stage:
    """What a fault can take hold of. A third of the load is accepted when it comes, and a third follows under it."""

    system: System
    ground: Ground
    crew: Crew
    load: Load
    watcher: Watcher


Fault = Callable[[Stage], AbstractContextManager[None]]
BOTH: tuple[Backend, ...] = ("embedded", "distributed")


@dataclass(frozen=True)
class Scenario:
    """`fault` comes when the block is entered, and must be over when it is left.

    `guests` are wishes beside the jobs, sent under the fault; `dead` are the dead letters expected. `begun_again` and
    `painted_again`: how often at most jobs are begun, and pictures made, beyond once each; None where chance decides.
    `may_fail`: with this code a job may fail as well, for it is told so and nothing is lost silently.
    """

    name: str
    about: str
    fault: Fault
    backends: tuple[Backend, ...] = BOTH
    workers: int = 2
    guests: tuple[Wish, ...] = ()
    dead: int = 0
    settings: Mapping[str, str] = field(default_factory=dict)
    begun_again: int | None = None
    painted_again: int | None = None
    may_fail: str | None = None
