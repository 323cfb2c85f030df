"""Clients that hang up while their images are made, and OpenAI's own, which then send the request again."""

import asyncio
import json
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, TypeVar

import httpx2
import openai
import pytest

from services.api.core import waiting_clients
from services.api.core.waiting_clients import WaitingClients
from services.common.catalogue.catalogue import Catalogue
from services.common.schemas import State, StatusRecord
from tests.api.conftest import embedded_settings
from tests.support.fakes import FakeWorker, stored_image
from tests.support.live_server import LiveGateway
from tests.support.polling import poll

Result = TypeVar("Result")

SECONDS = 20.0
FIRST, SECOND = {"x-stainless-retry-count": "0"}, {"x-stainless-retry-count": "1"}


@pytest.fixture
def gateways(
    tmp_path: Path, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[LiveGateway, LiveGateway]]:
    """Two gateways on the same backends, which soon give a client up."""
    monkeypatch.setattr(waiting_clients, "_CONNECT_SECONDS", 1.0)
    settings = embedded_settings(tmp_path, image_wait_seconds=SECONDS)
    with LiveGateway(settings, catalogue) as one, LiveGateway(settings, catalogue) as two:
        yield one, two


@pytest.fixture
def one(gateways: tuple[LiveGateway, LiveGateway]) -> LiveGateway:
    return gateways[0]


@pytest.fixture
def two(gateways: tuple[LiveGateway, LiveGateway]) -> LiveGateway:
    return gateways[1]


class Client:
    """A client that has asked for images, and waits."""

    def __init__(self, live: LiveGateway, prompt: str = "red mug", headers: dict[str, str] | None = None) -> None:
        self._connection = HTTPConnection(*live.address, timeout=SECONDS)
        body = json.dumps({"prompt": prompt})
        given = {"Content-Type": "application/json", **(headers or {})}
        self._connection.request("POST", "/v1/images/generations", body, given)

    def hang_up(self) -> None:
        self._connection.close()

    def answer(self) -> tuple[int, str | None]:
        """Return the status and the id of the job."""
        response = self._connection.getresponse()
        response.read()
        self._connection.close()
        return response.status, response.headers["X-Job-Id"]


def on(live: LiveGateway, work: Coroutine[Any, Any, Result]) -> Result:
    return asyncio.run_coroutine_threadsafe(work, live.loop).result(SECONDS)


def job_of(live: LiveGateway, job_id: str) -> StatusRecord:
    """Return the record, without being a client that looks at the job."""
    return on(live, live.backends.statuses.get(job_id))


def new_jobs(live: LiveGateway, count: int = 1) -> list[str]:
    """Wait until so many jobs are live and published, and return their ids, the oldest first."""

    def found() -> list[str] | None:
        ids = live.live_jobs()
        return ids if len(ids) == count and all(job_of(live, each).published for each in ids) else None

    return poll(found, SECONDS, lambda: f"{count} jobs, not {live.live_jobs()}")


def finish(live: LiveGateway, job_id: str) -> None:
    on(live, FakeWorker(live.backends).succeed(job_id, stored_image()))


def until_canceled(live: LiveGateway, job_id: str) -> None:
    poll(lambda: job_of(live, job_id).state is State.CANCELED, SECONDS, lambda: f"{job_id} canceled")


def hang_up_another(live: LiveGateway, before: int) -> None:
    """Have another client hang up, and wait until that is known: so is every earlier one."""
    another = Client(live, "control")
    job_id = new_jobs(live, before + 1)[-1]
    another.hang_up()
    until_canceled(live, job_id)


def test_hanging_up_cancels(one: LiveGateway) -> None:
    """The job of a client that hangs up is canceled, and draws nothing."""
    client = Client(one)
    (job_id,) = new_jobs(one)
    client.hang_up()
    until_canceled(one, job_id)


def test_running_job(one: LiveGateway) -> None:
    """A job that runs when its client hangs up is told to stop at its next step."""
    client = Client(one)
    (job_id,) = new_jobs(one)
    on(one, FakeWorker(one.backends).begin(job_id))
    client.hang_up()
    poll(lambda: job_of(one, job_id).cancel_requested, SECONDS, lambda: "cancel requested")


def test_idempotency_key_keeps_the_job(one: LiveGateway) -> None:
    """A job with an Idempotency-Key goes on without its client, which may come back for it."""
    key = {"Idempotency-Key": "once"}
    client = Client(one, headers=key)
    (job_id,) = new_jobs(one)
    client.hang_up()
    hang_up_another(one, 1)
    assert job_of(one, job_id).state is State.QUEUED
    finish(one, job_id)
    assert Client(one, headers=key).answer() == (200, job_id)


@pytest.mark.parametrize("headers", [{}, {"Prefer": "wait=1"}], ids=["polls", "waits"])
def test_watched_job_goes_on(one: LiveGateway, two: LiveGateway, headers: dict[str, str]) -> None:
    """A job at which another client looks, on any gateway, goes on when its own client hangs up."""
    client = Client(one)
    (job_id,) = new_jobs(one)
    assert httpx2.get(f"{two.url}/v1/jobs/{job_id}", headers=headers).json()["state"] == "queued"
    client.hang_up()
    hang_up_another(one, 1)
    assert job_of(one, job_id).state is State.QUEUED


@pytest.mark.parametrize("again", [0, 1], ids=["same gateway", "another gateway"])
def test_request_sent_again_joins_its_job(gateways: tuple[LiveGateway, LiveGateway], again: int) -> None:
    """A request that OpenAI's client sends again is answered from the job of the first time, on any gateway."""
    one, two = gateways[0], gateways[again]
    first = Client(one, headers=FIRST)
    (job_id,) = new_jobs(one)
    first.hang_up()
    second = Client(two, headers=SECOND)
    hang_up_another(one, 1)
    assert new_jobs(one) == [job_id]
    finish(one, job_id)
    assert second.answer() == (200, job_id)


def test_lost_answer(one: LiveGateway, two: LiveGateway) -> None:
    """A request sent again because its answer was lost gets that answer again."""
    first = Client(one, headers=FIRST)
    (job_id,) = new_jobs(one)
    finish(one, job_id)
    assert first.answer() == (200, job_id)
    assert Client(two, headers=SECOND).answer() == (200, job_id)


def test_client_that_does_not_come_back(one: LiveGateway) -> None:
    """A job of OpenAI's client is canceled once that could have sent its request again and did not."""
    client = Client(one, headers=FIRST)
    (job_id,) = new_jobs(one)
    client.hang_up()
    until_canceled(one, job_id)
    again = Client(one, headers=SECOND)
    assert new_jobs(one) != [job_id]
    again.hang_up()


def test_equal_requests_are_not_one(one: LiveGateway, two: LiveGateway) -> None:
    """Equal requests sent for the first time make a job each, and sent again find a job each."""
    firsts = [Client(one, headers=FIRST), Client(two, headers=FIRST)]
    made = new_jobs(one, 2)
    for first in firsts:
        first.hang_up()
    seconds = [Client(two, headers=SECOND), Client(two, headers=SECOND)]
    hang_up_another(two, 2)
    for job_id in made:
        finish(one, job_id)
    assert sorted(second.answer() for second in seconds) == [(200, job_id) for job_id in made]


@pytest.mark.parametrize("headers", [{}, {"x-stainless-retry-count": "one"}, {"x-stainless-retry-count": "-1"}])
def test_other_clients_are_not_joined(one: LiveGateway, headers: dict[str, str]) -> None:
    """A client that does not say that it sends its request again gets a job of its own."""
    clients = [Client(one, headers=FIRST)]
    new_jobs(one)
    clients.append(Client(one, headers=headers))
    made = new_jobs(one, 2)
    for job_id in made:
        finish(one, job_id)
    assert sorted(str(client.answer()[1]) for client in clients) == made


def test_another_callers_request_is_not_joined(tmp_path: Path, catalogue: Catalogue) -> None:
    """An equal request of another caller makes another job, however often it was sent."""
    settings = embedded_settings(tmp_path, image_wait_seconds=SECONDS, trusted_proxies="127.0.0.1")
    with LiveGateway(settings, catalogue) as live:
        first = Client(live, headers={**FIRST, "X-Forwarded-For": "203.0.113.7"})
        new_jobs(live)
        second = Client(live, headers={**SECOND, "X-Forwarded-For": "198.51.100.9"})
        assert len(new_jobs(live, 2)) == 2
        for client in (first, second):
            client.hang_up()


def test_failed_job_is_not_joined(one: LiveGateway) -> None:
    """After a failure that may pass, OpenAI's client asks again, and then another job is made."""
    first = Client(one, headers=FIRST)
    (job_id,) = new_jobs(one)
    on(one, FakeWorker(one.backends).fail(job_id))
    assert first.answer() == (500, job_id)
    second = Client(one, headers=SECOND)
    (other,) = new_jobs(one)
    assert other != job_id
    second.hang_up()


def test_openais_client_draws_once(one: LiveGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenAI's client, whose timeout is too short for the job, gets its image at the next try, drawn once."""
    numbers: list[int | None] = []
    sending = WaitingClients.sending

    async def noting(self: WaitingClients, fingerprint: str, number: int | None, seconds: float) -> Any:
        numbers.append(number)
        return await sending(self, fingerprint, number, seconds)

    monkeypatch.setattr(WaitingClients, "sending", noting)
    client = openai.OpenAI(base_url=f"{one.url}/v1", api_key="unused", timeout=1.0)
    with client, ThreadPoolExecutor(1) as pool:
        asking = pool.submit(client.images.generate, prompt="red mug")
        (job_id,) = new_jobs(one)
        poll(lambda: numbers == [0, 1], SECONDS, lambda: f"a second try, not {numbers}")
        assert new_jobs(one) == [job_id]
        finish(one, job_id)
        assert asking.result(SECONDS).data
    assert one.live_jobs() == []


def test_openais_client_gives_up(one: LiveGateway) -> None:
    """Once OpenAI's client has used up its tries, the one job that they all waited for is canceled."""
    with openai.OpenAI(base_url=f"{one.url}/v1", api_key="unused", timeout=0.5, max_retries=2) as client:
        with ThreadPoolExecutor(1) as pool:
            asking = pool.submit(client.images.generate, prompt="red mug")
            (job_id,) = new_jobs(one)
            assert isinstance(asking.exception(SECONDS), openai.APITimeoutError)
    until_canceled(one, job_id)
    assert len(on(one, one.backends.statuses.list(owner=""))) == 1
