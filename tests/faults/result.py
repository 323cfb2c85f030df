"""The result of one scenario: violations of the invariants, counted."""

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Result:
    """`lost` counts accepted jobs that did not end as expected or have no image; `doubled` requests with two jobs, and
    unexpected repeated work; `wrong` jobs that show another job's image; `regressed` jobs whose state went back.
    `queued` and `dead` count the messages left in the queue and in the dead letters; `unresponsive` the requests of
    /livez that were not answered within a second. `faults` describes every violation in words.
    """

    name: str
    backend: str
    jobs: int
    lost: int
    doubled: int
    wrong: int
    regressed: int
    queued: int
    dead: int
    unresponsive: int
    seconds: float
    faults: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return not self.faults

    def line(self, *, as_json: bool) -> str:
        if as_json:
            return json.dumps({**asdict(self), "ok": self.ok})
        counts = f"lost {self.lost}, doubled {self.doubled}, wrong {self.wrong}, regressed {self.regressed}"
        head = f"{'ok ' if self.ok else 'NOT'} {self.name} ({self.backend}): {self.jobs} jobs, {counts}"
        return "\n    ".join([f"{head}, {self.seconds:.1f} s", *self.faults])
