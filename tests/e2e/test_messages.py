"""Messages that arrive twice, or that the worker cannot understand."""

import json
import time
from uuid import uuid4

from services.common.backends import Backends
from services.common.ids import new_job_id
from services.common.ports import DeadLetter
from services.common.schemas import JobMessage, StatusRecord
from tests.support.operator import on_backends, studio
from tests.support.system import System

pytest_plugins = ["tests.support.system_fixtures"]


def _message(system: System, **params: object) -> JobMessage:
    model = system.client.get("/v1/models").json()["data"][0]["id"]
    now = time.time()
    return JobMessage(
        job_id=new_job_id(),
        model=model,
        modality="txt2img",
        params=params,
        created_at=now,
        expires_at=now + 60,
    )


def test_a_message_not_understood(system: System) -> None:
    """A message that the worker does not understand becomes a dead letter, its job fails, and the next job runs."""
    system.start_gateway()
    system.start_worker()
    bad = _message(system, prompt="cup", steps="many")

    async def publish(backends: Backends) -> None:
        await backends.statuses.create(StatusRecord(job_id=bad.job_id, message=bad, published=True))
        await backends.broker.publish(bad)

    async def dead(backends: Backends) -> list[DeadLetter]:
        return await backends.broker.dead_letters()

    on_backends(system, publish)
    told = system.wait(bad.job_id)
    assert (told["state"], told["error"]["code"]) == ("failed", "invalid-message")
    assert system.wait(system.submit("afterwards")["id"])["state"] == "succeeded"
    assert bad.message_id in [letter.message_id for letter in on_backends(system, dead)]
    assert bad.job_id not in system.generation_counts()


def test_a_message_of_no_job(system: System) -> None:
    """A message with an invalid job id becomes a dead letter instead of being delivered for ever."""
    system.start_gateway()
    system.start_worker()
    bad = _message(system, prompt="cup").model_copy(update={"job_id": "../of\nnobody"})

    async def publish(backends: Backends) -> None:
        await backends.broker.publish(bad)

    async def dead(backends: Backends) -> list[str]:
        return [letter.message_id for letter in await backends.broker.dead_letters()]

    on_backends(system, publish)
    assert system.wait(system.submit("afterwards")["id"])["state"] == "succeeded"
    assert bad.message_id in on_backends(system, dead)


def test_a_message_that_comes_twice(system: System) -> None:
    """Two messages of one job make one image, whether the second arrives during the run or afterwards."""
    system.start_gateway()
    system.start_worker()
    first = _message(system, prompt="SLOW jar", seed=3)
    second = first.model_copy(update={"message_id": uuid4().hex})

    async def publish_both(backends: Backends) -> None:
        await backends.statuses.create(StatusRecord(job_id=first.job_id, message=first, published=True))
        await backends.broker.publish(first)
        await backends.broker.publish(second)

    async def publish_again(backends: Backends) -> None:
        await backends.broker.publish(first.model_copy(update={"message_id": uuid4().hex}))

    on_backends(system, publish_both)
    job = system.wait(first.job_id)
    on_backends(system, publish_again)
    assert system.wait(system.submit("afterwards")["id"])["state"] == "succeeded"
    assert (job["state"], job["attempt"], len(job["artifacts"])) == ("succeeded", 1, 1)
    assert system.generation_counts()[first.job_id] == 1


def test_a_job_whose_manifest_is_of_a_newer_version(system: System) -> None:
    """A job that this worker cannot begin delays neither other jobs nor the worker's exit."""
    system.start_gateway(sweep_seconds="60")
    worker = system.start_worker()
    forgotten = _message(system, prompt="cup")

    key = f"jobs/{forgotten.job_id}/manifest.json"

    async def publish(backends: Backends) -> None:
        await backends.objects.put(key, b'{"schema_version": 99}', "application/json")
        await backends.broker.publish(forgotten)

    on_backends(system, publish)
    assert system.wait(system.submit("afterwards")["id"], 20)["state"] == "succeeded"
    assert "upgrade this worker" in system.log()
    worker.terminate()
    assert worker.wait(8) == 0
    # The owner of this job is unknown, and nothing was erased of an owner without jobs.
    before = _unknown_jobs(system)
    on_backends(system, lambda backends: backends.objects.delete([key]))
    assert _unknown_jobs(system) == before - 1


def _unknown_jobs(system: System) -> int:
    """The number of jobs whose owner `studio erase` does not find out."""
    done = studio(system, "erase", "--owner", "no-owner", "--json")
    assert done.returncode == 1, done.stderr
    return int(json.loads(done.stdout)["unknown"])


class Later(JobMessage):
    """A message of a future version."""

    schema_version: int = 2  # type: ignore[assignment]


def test_a_message_of_a_newer_version(system: System) -> None:
    """A message of a newer version stays queued for a newer worker, without a dead letter, and other jobs run."""
    system.start_gateway(sweep_seconds="60")
    worker = system.start_worker()
    told = _message(system, prompt="cup")
    later = Later.model_validate(told.model_dump(exclude={"schema_version"}))

    async def publish(backends: Backends) -> None:
        await backends.statuses.create(StatusRecord(job_id=later.job_id, message=told, published=True))
        await backends.broker.publish(later)

    async def left(backends: Backends) -> tuple[int, list[str]]:
        letters = [letter.message_id for letter in await backends.broker.dead_letters()]
        return await backends.broker.depth(later.model), letters

    on_backends(system, publish)
    assert system.wait(system.submit("afterwards")["id"])["state"] == "succeeded"
    assert system.client.get(f"/v1/jobs/{later.job_id}").json()["state"] == "queued"
    assert "upgrade this worker" in system.log()
    worker.terminate()
    assert worker.wait(30) == 0
    depth, letters = on_backends(system, left)
    assert depth == 1
    assert later.message_id not in letters
