"""Messages that come twice, or that no worker can understand."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar
from unittest.mock import patch
from uuid import uuid4

from services.common.backends import Backends, open_backends
from services.common.ids import new_job_id
from services.common.params import Modality
from services.common.ports import DeadLetter
from services.common.schemas import JobMessage, StatusRecord
from services.common.settings import Settings
from tests.system import System

pytest_plugins = ["tests.processes"]

T = TypeVar("T")


def _on_backends(system: System, use: Callable[[Backends], Awaitable[T]]) -> T:
    """What an operator's own tool would do: use the same backends from outside the services."""

    async def run() -> T:
        async with open_backends(settings) as backends:
            return await use(backends)

    with patch.dict("os.environ", system.environment, clear=True):
        settings = Settings()
    return asyncio.run(run())


def _message(system: System, **params: object) -> JobMessage:
    model = system.client.get("/v1/models").json()["data"][0]["id"]
    now = time.time()
    return JobMessage(
        job_id=new_job_id(),
        model=model,
        modality=Modality.TXT2IMG,
        params=params,
        created_at=now,
        expires_at=now + 60,
    )


def test_a_message_not_understood(system: System) -> None:
    """It goes to the dead letters, its job is told to have failed, and the worker goes on with the next one."""
    system.start_gateway()
    system.start_worker()
    bad = _message(system, prompt="cup", steps="many")

    async def publish(backends: Backends) -> None:
        await backends.statuses.create(StatusRecord(job_id=bad.job_id, message=bad, published=True))
        await backends.broker.publish(bad)

    async def dead(backends: Backends) -> list[DeadLetter]:
        return await backends.broker.dead_letters()

    _on_backends(system, publish)
    told = system.wait(bad.job_id)
    assert (told["state"], told["error"]["code"]) == ("failed", "invalid-message")
    assert system.wait(system.submit("afterwards")["id"])["state"] == "succeeded"
    assert bad.message_id in [letter.message_id for letter in _on_backends(system, dead)]
    assert bad.job_id not in system.pictures_painted()


def test_a_message_that_comes_twice(system: System) -> None:
    """Two messages of one job make one picture, whether the second comes while it runs or afterwards."""
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

    _on_backends(system, publish_both)
    job = system.wait(first.job_id)
    _on_backends(system, publish_again)
    assert system.wait(system.submit("afterwards")["id"])["state"] == "succeeded"
    assert (job["state"], job["attempt"], len(job["artifacts"])) == ("succeeded", 1, 1)
    assert system.pictures_painted()[first.job_id] == 1
