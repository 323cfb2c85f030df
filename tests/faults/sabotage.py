"""`python -m tests.faults.sabotage NAME ...`: run `studio ...` with one promise broken, which the rig must notice.

Each sabotage is a mistake that could be made in the code. The code itself cannot reach this module.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from services.__main__ import main
from services.api.core.gateway import Gateway
from services.api.core.publisher import Publisher
from services.common.brokers.delivery import Delivery, Settlement
from services.common.manifests import Manifests
from services.common.ports import Outcome, Verdict
from services.common.schemas import Artifact, StatusRecord
from services.inference.job.lease import JobLease


def _early_ack() -> None:
    """The worker acknowledges a message on delivery instead of at the end of the job."""

    async def enter(self: Delivery) -> bytes:
        await self.settle(Settlement.ACK)
        return self.body

    Delivery.__aenter__ = enter  # type: ignore[method-assign]


def _forget_publish() -> None:
    """The gateway answers 202 after it wrote the record, and publishes nothing."""

    async def publish(self: Publisher, record: StatusRecord, *, fresh: bool = False) -> StatusRecord:
        return await self._confirm(record)

    Publisher.publish = publish  # type: ignore[method-assign]


def _forget_manifest() -> None:
    """The worker acknowledges a job whose end is written to the status store only."""

    async def write(self: Manifests, record: StatusRecord) -> None:
        pass

    Manifests.write = write  # type: ignore[method-assign]


def _forget_keys() -> None:
    """The gateway ignores the Idempotency-Key of a request."""
    accept = Gateway.accept

    async def forgetful(self: Gateway, body: Mapping[str, Any], **given: Any) -> tuple[StatusRecord, bool]:
        return await accept(self, body, **{**given, "idempotency_key": None})

    Gateway.accept = forgetful  # type: ignore[method-assign]


def _mix_up() -> None:
    """The worker lists a job with the images of the job it finished before."""
    finish = JobLease.finish
    made: list[tuple[Artifact, ...]] = [()]

    async def mixed(self: JobLease, outcome: Outcome) -> Verdict:
        if outcome.artifacts:
            made.append(outcome.artifacts)
            outcome = replace(outcome, artifacts=made[-2] or made[-1])
        return await finish(self, outcome)

    JobLease.finish = mixed  # type: ignore[method-assign]


def _reopen() -> None:
    """The worker begins a finished job again."""
    begin, wait = JobLease.begin, JobLease.wait_for_holder

    async def begin_anyway(self: JobLease) -> bool:
        await wait(self)
        return False

    async def again(self: JobLease) -> Verdict:
        verdict = await begin(self)
        if verdict is not Verdict.LOST:
            return verdict
        await self._statuses.remove(self.message.job_id)
        return await self._statuses.begin(self.message, self.lease, recreate=True)

    JobLease.wait_for_holder = begin_anyway  # type: ignore[method-assign]
    JobLease.begin = again  # type: ignore[method-assign]


@dataclass(frozen=True)
class Sabotage:
    """`scenario` must notice the broken promise and counts it in `column`."""

    apply: Callable[[], None]
    scenario: str
    column: str


SABOTAGES: Mapping[str, Sabotage] = {
    "early-ack": Sabotage(_early_ack, "worker-killed", "lost"),
    "forget-publish": Sabotage(_forget_publish, "jobs-fail", "lost"),
    "forget-manifest": Sabotage(_forget_manifest, "redis-killed", "lost"),
    "forget-keys": Sabotage(_forget_keys, "gateway-killed-between-writes", "doubled"),
    "mix-up": Sabotage(_mix_up, "jobs-fail", "wrong"),
    "reopen": Sabotage(_reopen, "worker-killed-between-writes", "regressed"),
}


if __name__ == "__main__":
    SABOTAGES[sys.argv.pop(1)].apply()
    main()
