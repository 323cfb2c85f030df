"""/v1/dead-letters: what an operator sees of them and can do about them, and that nobody else can."""

from collections.abc import AsyncIterator
from io import StringIO

import httpx2
import pytest
from rich.console import Console
from starlette.types import ASGIApp

from services.cli.tables import dead_letter_table
from services.common.backends import Backends
from services.common.schemas import JobMessage
from tests.support.api_keys import LINES, bearer
from tests.support.fakes import FakeWorker, dead_letter
from tests.support.messages import new_message

pytestmark = pytest.mark.anyio
ROUTES = [("GET", ""), ("GET", "/x"), ("POST", "/x/replay"), ("DELETE", "/x")]


@pytest.fixture
async def operator(app: ASGIApp) -> AsyncIterator[httpx2.AsyncClient]:
    """On the gateway's own machine."""
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://localhost:8000") as opened:
        yield opened


async def letter_of(backends: Backends, job_id: str, **changes: object) -> JobMessage:
    """The message of a job, dead."""
    message = (await backends.statuses.get(job_id)).message.model_copy(update=changes)
    await dead_letter(backends, message)
    return message


async def submitted(client: httpx2.AsyncClient, **params: object) -> str:
    return str((await client.post("/v1/jobs", json={"prompt": "a mug", **params})).json()["id"])


async def test_letters_are_listed_and_shown(operator: httpx2.AsyncClient, backends: Backends) -> None:
    """The list has the oldest first and says which job each is of; one alone has its body and its job, too."""
    first, second = new_message("studio-tiny"), new_message("other")
    for message in (first, second):
        await dead_letter(backends, message)

    listed = (await operator.get("/v1/dead-letters")).json()["data"]
    shown = (await operator.get(f"/v1/dead-letters/{first.message_id}")).json()

    assert [each["message_id"] for each in listed] == [first.message_id, second.message_id]
    assert [each["model"] for each in listed] == ["studio-tiny", "other"]
    assert [each["job_id"] for each in listed] == [first.job_id, second.job_id]
    assert [each["fault"] for each in listed] == [None, None]
    assert (shown["letter"], shown["job"]) == (listed[0], None)
    assert JobMessage.decode(shown["body"].encode()) == first
    assert len((await operator.get("/v1/dead-letters?limit=1")).json()["data"]) == 1


async def test_letters_do_not_command_the_terminal(operator: httpx2.AsyncClient, backends: Backends) -> None:
    """Whatever is in a letter, `studio dead list` shows it as it is, but for what a terminal would obey."""
    bold = new_message("[/]\x1b[2J").model_copy(update={"message_id": "[bold]", "job_id": "[link=http://evil.example]"})
    await dead_letter(backends, bold)
    shown = StringIO()

    letters = (await operator.get("/v1/dead-letters")).json()["data"]
    Console(file=shown, width=200).print(dead_letter_table(letters))

    assert "[bold]" in shown.getvalue()
    assert "[/] [2J" in shown.getvalue()


async def test_replay_of_a_job_that_is_over_is_a_new_job(
    operator: httpx2.AsyncClient, backends: Backends, worker: FakeWorker
) -> None:
    """A terminal state never changes: the failed job stays, and one like it, of the same owner, is queued."""
    job_id = await submitted(operator, seed=7)
    message = await letter_of(backends, job_id, message_id="again", owner="visitor:a")
    await worker.fail(job_id, "poison")

    answer = (await operator.post("/v1/dead-letters/again/replay")).json()

    assert (answer["outcome"], answer["job"]["state"]) == ("resubmitted", "queued")
    new = await backends.statuses.get(answer["job"]["id"])
    assert new.job_id != job_id
    assert (new.message.params, new.message.owner, new.published) == (message.params, "visitor:a", True)
    assert (await backends.statuses.get(job_id)).state == "failed"
    assert await backends.broker.dead_letters() == []


async def test_replay_cut_short_makes_one_job(
    operator: httpx2.AsyncClient, backends: Backends, worker: FakeWorker
) -> None:
    """A letter replayed twice, because the gateway died before it took the letter away, leads to one new job."""
    job_id = await submitted(operator)
    message = await letter_of(backends, job_id, message_id="again")
    await worker.fail(job_id, "poison")
    first = (await operator.post("/v1/dead-letters/again/replay")).json()
    await dead_letter(backends, message)

    assert (await operator.post("/v1/dead-letters/again/replay")).json()["job"]["id"] == first["job"]["id"]


async def test_replay_of_a_live_job_goes_back_to_its_queue(operator: httpx2.AsyncClient, backends: Backends) -> None:
    """The message of a job that is not over, or that nobody knows, is delivered as it is."""
    known = await letter_of(backends, await submitted(operator), message_id="known")
    unknown = new_message("other")
    await dead_letter(backends, unknown)
    before = await backends.broker.depth(known.model)
    for message in (known, unknown):
        answer = (await operator.post(f"/v1/dead-letters/{message.message_id}/replay")).json()
        assert (answer["outcome"], answer["job"]) == ("requeued", None)
    assert await backends.broker.depth(known.model) == before + 1
    assert await backends.broker.depth("other") == 1
    assert await backends.broker.dead_letters() == []


async def test_replay_that_cannot_be(operator: httpx2.AsyncClient, backends: Backends, worker: FakeWorker) -> None:
    """Where a job is over and no new one can be made, that is said, and the letter stays where it is."""
    unreadable, broken, removed = [await submitted(operator) for _ in range(3)]
    await letter_of(backends, unreadable, message_id="unreadable", schema_version=0)
    await letter_of(backends, broken, message_id="broken", params={"prompt": "a", "steps": "many"})
    await letter_of(backends, removed, message_id="removed")
    for job_id in (unreadable, broken):
        await worker.fail(job_id, "invalid-message")
    await operator.delete(f"/v1/jobs/{removed}")

    refusals = [
        ((answer := await operator.post(f"/v1/dead-letters/{name}/replay")).status_code, answer.json()["code"])
        for name in ("unreadable", "broken", "removed")
    ]

    assert refusals == [(409, "dead-letter-unreadable"), (422, "validation-error"), (410, "job-removed")]
    letters = (await operator.get("/v1/dead-letters")).json()["data"]
    assert [letter["message_id"] for letter in letters] == ["unreadable", "broken", "removed"]
    assert "schema_version" in letters[0]["fault"]
    assert (await operator.get("/v1/dead-letters/removed")).json()["job"] is None


async def test_letter_of_a_newer_version(operator: httpx2.AsyncClient, backends: Backends) -> None:
    """A message of a newer version is shown as such, and replayed unchanged: a worker of that version can read it."""
    message = new_message("other").model_copy(update={"schema_version": 999})
    await dead_letter(backends, message)

    [letter] = (await operator.get("/v1/dead-letters")).json()["data"]
    assert "version 999" in letter["fault"]
    assert letter["job_id"] is None
    replayed = await operator.post(f"/v1/dead-letters/{message.message_id}/replay")
    assert replayed.json()["outcome"] == "requeued"


async def test_dropped_letter_is_gone(operator: httpx2.AsyncClient, backends: Backends) -> None:
    """A letter dropped is gone for good, its job is not touched, and a second time there is nothing to drop."""
    job_id = await submitted(operator)
    await letter_of(backends, job_id, message_id="again")

    assert (await operator.delete("/v1/dead-letters/again")).status_code == 204
    again = await operator.delete("/v1/dead-letters/again")
    assert (again.status_code, again.json()["code"]) == (404, "dead-letter-not-found")
    assert (await operator.get(f"/v1/jobs/{job_id}")).json()["state"] == "queued"


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize(
    "headers",
    [{"Host": "photos.test"}, {"Host": "[::1"}, {"X-Forwarded-For": "203.0.113.7"}, {"Via": "1.1 proxy"}],
)
async def test_nobody_else_is_let_in(
    operator: httpx2.AsyncClient, method: str, path: str, headers: dict[str, str]
) -> None:
    """A caller that uses another name than the machine's own, or a proxy, is no operator."""
    answer = await operator.request(method, f"/v1/dead-letters{path}", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_nobody_is_let_in_from_other_machines(app: ASGIApp, method: str, path: str) -> None:
    """Without keys there is no telling who asks from elsewhere, so it is no operator."""
    transport = httpx2.ASGITransport(app, client=("203.0.113.7", 50_000))
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost:8000") as elsewhere:
        assert (await elsewhere.request(method, f"/v1/dead-letters{path}")).status_code == 403


@pytest.mark.parametrize("settings", [{"keys": LINES}], indirect=True)
async def test_keys_of_operators_let_in(client: httpx2.AsyncClient, backends: Backends) -> None:
    """With keys it takes an operator's: a user's is forbidden, and without one nobody gets in, wherever he is."""
    message = new_message("other")
    await dead_letter(backends, message)
    path = f"/v1/dead-letters/{message.message_id}"
    answers = [await client.get(path, headers=headers) for headers in ({}, bearer("alice"), bearer("olga"))]
    assert [answer.status_code for answer in answers] == [401, 403, 200]
    assert (await client.delete(path, headers=bearer("olga"))).status_code == 204


@pytest.mark.parametrize("sender", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.test"}])
async def test_other_sites_may_not_change_anything(
    operator: httpx2.AsyncClient, backends: Backends, sender: dict[str, str]
) -> None:
    """A page of somebody else's in the operator's browser can neither replay nor drop."""
    message = new_message("other")
    await dead_letter(backends, message)
    path = f"/v1/dead-letters/{message.message_id}"

    answers = [await operator.post(f"{path}/replay", headers=sender), await operator.delete(path, headers=sender)]

    assert [answer.status_code for answer in answers] == [403, 403]
    assert len(await backends.broker.dead_letters()) == 1
