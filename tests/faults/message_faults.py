"""Messages that come twice, and messages nobody should ever have published."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from services.common.ids import new_job_id
from services.common.params import Modality
from services.common.schemas import JobMessage
from tests.faults.scenario import Scenario, Stage

NOT_UNDERSTOOD = (
    b"no JSON",
    b'{"schema_version": 0}',
    b'{"schema_version": 1, "extra": "__reduce__"}',
    b"\x80\x04N.",
)


def message_scenarios() -> list[Scenario]:
    return [
        Scenario("duplicates", "every message of the first third published twice more", _duplicates),
        Scenario(
            "messages-not-understood",
            "no JSON, an unknown version, fields missing, a pickle, another model's job, straight to the queue",
            _not_understood,
            dead=len(NOT_UNDERSTOOD) + 1,
        ),
    ]


class _Foreign(JobMessage):
    """A message whose body is anything."""

    body: bytes

    def encode(self) -> bytes:
        return self.body


@contextmanager
def _duplicates(stage: Stage) -> Iterator[None]:
    yield
    jobs: list[dict[str, Any]] = [
        stage.system.client.get(f"/v1/jobs/{job_id}").json() for job_id in list(stage.load.accepted.values())
    ]
    stage.ground.publish(stage.system, [_message(stage, job["id"], job["params"]) for job in jobs for _ in range(2)])


@contextmanager
def _not_understood(stage: Stage) -> Iterator[None]:
    plain = _message(stage, new_job_id(), {"prompt": "of another model"})
    foreign = [*NOT_UNDERSTOOD, plain.model_copy(update={"model": "another"}).encode()]
    stage.ground.publish(
        stage.system, [_Foreign(**_message(stage, new_job_id(), {}).model_dump(), body=body) for body in foreign]
    )
    yield


def _message(stage: Stage, job_id: str, params: dict[str, Any]) -> JobMessage:
    return JobMessage(
        job_id=job_id,
        model=stage.system.model,
        modality=Modality.TXT2IMG,
        params=params,
        created_at=time.time(),
        expires_at=time.time() + 600,
    )
