"""Faults of the queue: messages that arrive twice, and messages that no worker understands."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from services.common.ids import new_job_id
from services.common.schemas import JobMessage
from tests.faults.scenario import Scenario, ScenarioRun

NOT_UNDERSTOOD = (
    b"no JSON",
    b'{"schema_version": 0}',
    b'{"schema_version": 1, "extra": "__reduce__"}',
    b"\x80\x04N.",
)


def message_scenarios() -> list[Scenario]:
    return [
        Scenario("duplicates", "every message of the first third is published twice more", _duplicates),
        Scenario(
            "messages-not-understood",
            "messages that are no JSON, of an unknown version, incomplete, a pickle, or of another model's job",
            _not_understood,
            dead=len(NOT_UNDERSTOOD) + 1,
        ),
    ]


class _Foreign(JobMessage):
    """A message with an arbitrary body."""

    body: bytes

    def encode(self) -> bytes:
        return self.body


@contextmanager
def _duplicates(run: ScenarioRun) -> Iterator[None]:
    yield
    jobs: list[dict[str, Any]] = [
        run.system.client.get(f"/v1/jobs/{job_id}").json() for job_id in list(run.load.accepted.values())
    ]
    run.backends.publish(run.system, [_message(run, job["id"], job["params"]) for job in jobs for _ in range(2)])


@contextmanager
def _not_understood(run: ScenarioRun) -> Iterator[None]:
    plain = _message(run, new_job_id(), {"prompt": "of another model"})
    foreign = [*NOT_UNDERSTOOD, plain.model_copy(update={"model": "another"}).encode()]
    run.backends.publish(
        run.system, [_Foreign(**_message(run, new_job_id(), {}).model_dump(), body=body) for body in foreign]
    )
    yield


def _message(run: ScenarioRun, job_id: str, params: dict[str, Any]) -> JobMessage:
    return JobMessage(
        job_id=job_id,
        model=run.system.model,
        modality="txt2img",
        params=params,
        created_at=time.time(),
        expires_at=time.time() + 600,
    )
