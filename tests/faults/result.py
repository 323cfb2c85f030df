"""What became of the jobs of one scenario: the invariants, counted."""

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Result:
    """`lost`: accepted and not ended as it had to, or without its picture. `doubled`: two results for one request, or
    made again where that was not to be. `wrong`: another job's picture. `regressed`: a status that went back.
    `queued` and `dead` are messages left in the queue and in the dead letters, `deaf` counts questions to /livez not
    answered within a second. `faults` says in words all that is not as it should be.
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
    deaf: int
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
