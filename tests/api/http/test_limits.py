"""How much one caller may ask for: so often in a while, and so many jobs at once."""

import math
import re
import time
from pathlib import Path

import httpx2
import pytest
from starlette.types import ASGIApp

from services.api.app import create_app
from services.common.backends import Backends
from services.common.catalogue.catalogue import Catalogue
from tests.api.conftest import embedded_settings
from tests.api.v1.test_jobs import MUG
from tests.support.api_keys import LINES, bearer
from tests.support.fakes import FakeWorker
from tests.support.web.visitor import submit as order

pytestmark = pytest.mark.anyio

few_an_hour = pytest.mark.parametrize("settings", [{"keys": LINES, "rate_limit": "3/hour"}], indirect=True)
AWAY = ("203.0.113.7", 40000)


def client_at(app: ASGIApp, address: tuple[str, int], **headers: str) -> httpx2.AsyncClient:
    transport = httpx2.ASGITransport(app, client=address)
    return httpx2.AsyncClient(transport=transport, base_url="http://studio.test", headers=headers)


@pytest.fixture(autouse=True)
def not_at_the_turn_of_the_hour() -> None:
    """A window that ends within a test would give its callers new submits."""
    if (left := 3600 - time.time() % 3600) < 20:
        time.sleep(left)


@few_an_hour
async def test_rate_is_by_key(client: httpx2.AsyncClient) -> None:
    """A key has so many submits in the window, and is told with each how many are left; then it is a 429 until the end.

    Others are not touched, nor is anything but submitting.
    """
    answers = [await client.post("/v1/jobs", json=MUG, headers=bearer("alice")) for _ in range(5)]

    assert [answer.status_code for answer in answers] == [202, 202, 202, 429, 429]
    assert {answer.headers["RateLimit-Policy"] for answer in answers} == {'"submit";q=3;w=3600'}
    told = [re.fullmatch(r'"submit";r=(\d+);t=(\d+)', answer.headers["RateLimit"]) for answer in answers]
    assert [int(each[1]) for each in told if each] == [2, 1, 0, 0, 0]
    assert all(each and 1 <= int(each[2]) <= 3600 for each in told)
    refused = answers[3]
    assert refused.json()["code"] == "too-many-requests"
    assert told[3] is not None
    assert refused.headers["Retry-After"] == told[3][2]
    assert (await client.post("/v1/jobs", json=MUG, headers=bearer("bob"))).status_code == 202
    listed = await client.get("/v1/jobs", headers=bearer("alice"))
    assert (listed.status_code, len(listed.json()["data"])) == (200, 3)
    assert "RateLimit" not in listed.headers


@few_an_hour
async def test_every_way_to_submit_counts(client: httpx2.AsyncClient) -> None:
    """A submit refused for its content is counted, and so is OpenAI's route, which refuses in its own shape."""
    asked = {"prompt": "cup", "model": "nope"}
    first = await client.post("/v1/jobs", json={}, headers=bearer("alice"))
    second = await client.post("/v1/images/generations", json=asked, headers=bearer("alice"))
    third = await client.post("/v1/jobs", content="{", headers=bearer("alice"))
    fourth = await client.post("/v1/images/generations", json=asked, headers=bearer("alice"))

    assert [each.status_code for each in (first, second, third, fourth)] == [422, 404, 415, 429]
    left = [each.headers["RateLimit"].partition(";t=")[0] for each in (first, second, third, fourth)]
    assert left == [f'"submit";r={count}' for count in (2, 1, 0, 0)]
    assert fourth.json()["error"]["code"] == "too-many-requests"
    assert int(fourth.headers["Retry-After"]) >= 1


@pytest.mark.parametrize("settings", [{"rate_limit": "2/hour", "trusted_proxies": "10.0.0.1"}], indirect=True)
async def test_rate_is_by_address_without_keys(app: ASGIApp) -> None:
    """While keys are off an address counts, as a trusted proxy says it, whatever the cookie."""
    async with (
        client_at(app, AWAY) as direct,
        client_at(app, ("10.0.0.1", 1), **{"X-Forwarded-For": AWAY[0]}) as behind,
        client_at(app, ("203.0.113.8", 1)) as other,
    ):
        await direct.post("/", data={"prompt": "mug"})
        statuses = [(await each.post("/v1/jobs", json=MUG)).status_code for each in (behind, direct, behind, other)]

    assert statuses == [202, 429, 429, 202]


async def test_this_machine_is_limited_by_settings_only(app: ASGIApp) -> None:
    """Limits nobody set are for keys and for who comes from elsewhere, not for who is on this machine."""
    proxied = {"X-Forwarded-For": "198.51.100.1"}
    async with (
        client_at(app, AWAY) as away,
        client_at(app, ("127.0.0.1", 1), **proxied) as behind,
        client_at(app, ("127.0.0.1", 1)) as here,
    ):
        told = [(await each.post("/v1/jobs", json=MUG)).headers.get("RateLimit") for each in (away, behind, here)]

    assert [text and text.partition(";t=")[0] for text in told] == ['"submit";r=59', '"submit";r=59', None]


@pytest.mark.parametrize("settings", [{"rate_limit": "2/hour", "owner_limit": 1}], indirect=True)
async def test_limits_that_are_set_are_for_everybody(client: httpx2.AsyncClient) -> None:
    """Where the operator names limits they are this machine's too."""
    answers = [await client.post("/v1/jobs", json=MUG) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [202, 429, 429]
    assert [answer.json().get("code") for answer in answers] == [None, "too-many-jobs", "too-many-requests"]


@pytest.mark.parametrize("settings", [{"rate_limit": "1/hour"}], indirect=True)
async def test_page_says_when_to_come_back(app: ASGIApp) -> None:
    """A person who orders too fast on the page gets the form back as it was typed, and the time to wait."""
    async with client_at(app, AWAY, **{"Sec-Fetch-Site": "same-origin"}) as browser:
        await order(browser)
        answer = await browser.post("/", data={"prompt": "a tea pot", "token": "another-form"})

    assert answer.status_code == 429
    assert "a tea pot" in answer.text
    minutes = math.ceil(int(answer.headers["Retry-After"]) / 60)
    assert f"Try again in {minutes} minutes" in answer.text


@pytest.mark.parametrize("settings", [{"rate_limit": "none"}], indirect=True)
async def test_no_rate(app: ASGIApp) -> None:
    """With the setting `none` no submit is counted."""
    async with client_at(app, AWAY) as client:
        answer = await client.post("/v1/jobs", json=MUG)
    assert (answer.status_code, "RateLimit" in answer.headers) == (202, False)


@pytest.mark.parametrize("rate", ["often", "0.5/second", "-1/minute", "10/fortnight"])
async def test_what_is_no_rate_stops_the_start(tmp_path: Path, catalogue: Catalogue, rate: str) -> None:
    """A rate that cannot be understood is not taken for none."""
    with pytest.raises(ValueError, match="STUDIO_RATE_LIMIT"):
        create_app(embedded_settings(tmp_path, rate_limit=rate), catalogue)


@pytest.mark.parametrize("settings", [{"keys": LINES, "owner_limit": 2}], indirect=True)
async def test_jobs_at_once_are_by_key(client: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """A key with as many jobs waiting and running as it may have gets no other until one is over; others do.

    A repeat of an earlier request is answered as before.
    """
    same = {**bearer("alice"), "Idempotency-Key": "monday"}
    first = (await client.post("/v1/jobs", json=MUG, headers=same)).json()["id"]
    await worker.begin((await client.post("/v1/jobs", json=MUG, headers=bearer("alice"))).json()["id"])
    refused = await client.post("/v1/jobs", json=MUG, headers=bearer("alice"))

    assert (refused.status_code, refused.json()["code"]) == (429, "too-many-jobs")
    assert int(refused.headers["Retry-After"]) >= 1
    assert (await client.post("/v1/jobs", json=MUG, headers=same)).json()["id"] == first
    assert (await client.post("/v1/jobs", json=MUG, headers=bearer("bob"))).status_code == 202
    await client.post(f"/v1/jobs/{first}/cancel", headers=bearer("alice"))
    assert (await client.post("/v1/jobs", json=MUG, headers=bearer("alice"))).status_code == 202


@pytest.mark.parametrize("settings", [{"keys": LINES, "queue_limit": 3}], indirect=True)
async def test_refused_jobs_do_not_count(client: httpx2.AsyncClient) -> None:
    """A job that a full queue refused counts for no limit, so a client that retries is not locked out afterwards."""
    statuses = [(await client.post("/v1/jobs", json=MUG, headers=bearer("alice"))).status_code for _ in range(6)]

    assert statuses == [202] * 3 + [503] * 3
    assert len((await client.get("/v1/jobs", headers=bearer("alice"))).json()["data"]) == 3


@pytest.mark.parametrize("settings", [{"keys": LINES}], indirect=True)
async def test_the_crowd_waits_in_the_other_lane(client: httpx2.AsyncClient, backends: Backends) -> None:
    """The first few jobs of a key share the lane with the first job of another key; the rest go to the bulk lane."""
    made = [(await client.post("/v1/jobs", json=MUG, headers=bearer("alice"))).json()["id"] for _ in range(6)]
    made.append((await client.post("/v1/jobs", json=MUG, headers=bearer("bob"))).json()["id"])
    lanes: dict[str, bool] = {}
    consuming = backends.broker.consume("studio-tiny", 10)
    while len(lanes) < len(made):
        delivery = await anext(consuming)
        lanes[str(delivery.body)] = delivery.bulk
    await consuming.aclose()

    by_job = {job_id: bulk for job_id in made for body, bulk in lanes.items() if job_id in body}
    assert [by_job[job_id] for job_id in made] == [False] * 4 + [True] * 2 + [False]
