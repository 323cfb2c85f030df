"""A scenario: a fault, and the conditions that must hold during and after it."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from tests.faults.backends import Backend, ScenarioBackends
from tests.faults.fleet import Fleet
from tests.faults.job_watcher import JobWatcher
from tests.faults.load_client import JobRequest, LoadClient
from tests.support.system import System


@dataclass(frozen=True)
class ScenarioRun:
    """The running system that a fault acts on. A third of the load is accepted before the fault, a third under it."""

    system: System
    backends: ScenarioBackends
    fleet: Fleet
    load: LoadClient
    watcher: JobWatcher


Fault = Callable[[ScenarioRun], AbstractContextManager[None]]
BOTH: tuple[Backend, ...] = ("embedded", "distributed")
ALL: tuple[Backend, ...] = (*BOTH, "cluster")


@dataclass(frozen=True)
class Scenario:
    """`fault` begins when its block is entered and must be over when the block is left.

    `about` is the text in the table. `extra_requests` are sent under the fault, beside the jobs. `dead` is the expected
    number of dead letters. `begun_again` and `generated_again` limit how often jobs are begun and images generated
    beyond once each; None where chance decides. `may_fail` is an error code with which jobs may end: their clients are
    told, so nothing is lost silently. With `files` each job is made from a picture, and no two from the same input.
    With `speech` each is a text that a real voice says.
    """

    name: str
    about: str
    fault: Fault
    backends: tuple[Backend, ...] = BOTH
    workers: int = 2
    extra_requests: tuple[JobRequest, ...] = ()
    dead: int = 0
    settings: Mapping[str, str] = field(default_factory=dict)
    begun_again: int | None = None
    generated_again: int | None = None
    may_fail: str | None = None
    files: bool = False
    speech: bool = False
