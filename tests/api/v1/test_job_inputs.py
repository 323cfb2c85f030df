"""Jobs name files that were sent in, and keep them."""

import base64
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest

from services.api.core.gateway import Gateway
from services.api.core.inputs.keys import file_key
from services.api.core.inputs.store import InputStore
from services.api.core.inputs.sweep import LATE_SECONDS, UNDECIDED_SECONDS
from services.api.core.sweeper import Sweeper
from services.common.backends import Backends
from services.common.catalogue.catalogue import Catalogue
from services.common.catalogue.files import load_catalogue
from services.common.errors import InvalidRequest
from services.common.ids import JobIds, new_job_id
from services.common.input_errors import InputNotFound
from services.common.settings import Settings
from tests.support.api_keys import LINES, bearer
from tests.support.fakes import FakeWorker, dead_letter
from tests.support.models.scripted_edit_adapter import CATALOGUE
from tests.support.picture_files import encoded, picture, tone

pytestmark = pytest.mark.anyio

MODELS = Path(__file__).parents[3] / "models"
PNG = encoded(picture())
DAY = 86_400.0


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    """A catalogue whose only model takes a picture."""
    file = tmp_path_factory.mktemp("catalogue") / "models.toml"
    file.write_text(CATALOGUE.format(name="editor", calls="calls", seconds=0))
    return load_catalogue(file, MODELS / "styles.toml")


async def sent(client: httpx2.AsyncClient, data: bytes = PNG, **options: Any) -> str:
    answer = await client.post("/v1/inputs", content=data, **options)
    assert answer.status_code == 201, answer.text
    made: str = answer.json()["id"]
    return made


async def submitted(client: httpx2.AsyncClient, image: str, **options: Any) -> httpx2.Response:
    return await client.post("/v1/jobs", json={"prompt": "mug", "image": image}, **options)


def data_url(data: bytes, media_type: str = "image/png") -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


async def test_named_by_id(client: httpx2.AsyncClient, backends: Backends) -> None:
    """The message of a job has the place, type, digest and size of the input that the job names."""
    input_id = await sent(client)
    view = (await client.get(f"/v1/inputs/{input_id}")).json()

    job = (await submitted(client, input_id)).json()

    assert job["params"]["image"] == input_id
    message = (await backends.statuses.get(job["id"])).message
    ref = message.inputs["image"]
    assert (ref.key, ref.sha256) == (file_key(None, input_id, "png"), view["sha256"])
    assert (ref.media_type, ref.bytes, ref.width, ref.height) == ("image/png", view["bytes"], 64, 32)
    assert message.params["image"] == input_id


async def test_data_url(client: httpx2.AsyncClient, tmp_path: Path) -> None:
    """The file of a data URL becomes an input; the URL itself is in no record, message or answer."""
    url = data_url(PNG)

    answer = await submitted(client, url)

    assert answer.status_code == 202
    view = await client.get(f"/v1/inputs/{answer.json()['params']['image']}")
    assert (view.status_code, view.json()["media_type"]) == (200, "image/png")
    text = url[40:80].encode()
    assert [file for file in tmp_path.rglob("*") if file.is_file() and text in file.read_bytes()] == []


@pytest.mark.parametrize(
    ("image", "told"),
    [
        (new_job_id(), "there is no input"),
        ("https://shop.example/mug.jpg", "URL"),
        ("mug.jpg", "/v1/inputs"),
        (data_url(b"no picture"), "no known picture"),
        (data_url(PNG[:-30]), "damaged"),
        (data_url(b"\0" * 1_000_001), "1000000"),
        ("data:image/png;base64,AAAAA", "no base64"),
        (data_url(tone(0.1), "image/png"), "kind image"),
    ],
    ids=["unknown", "address", "path", "text", "cut off", "too long", "no base64", "sound"],
)
async def test_refused(client: httpx2.AsyncClient, image: str, told: str) -> None:
    """Anything but a picture of the caller's is refused at the parameter that names it, and makes no job."""
    answer = await submitted(client, image)

    assert (answer.status_code, answer.json()["code"]) == (422, "validation-error"), answer.text
    [fault] = answer.json()["errors"]
    assert fault["pointer"] == "/image"
    assert told in answer.text
    assert len(answer.content) < 3000
    assert (await client.get("/v1/jobs")).json()["data"] == []


@pytest.mark.parametrize("settings", [{"keys": LINES}], indirect=True)
async def test_another_owners(client: httpx2.AsyncClient) -> None:
    """A job cannot be made from another owner's file, which is answered like one that does not exist."""
    input_id = await sent(client, headers=bearer("alice"))

    absent = new_job_id()
    refused, unknown = [await submitted(client, each, headers=bearer("bob")) for each in (input_id, absent)]

    assert refused.status_code == unknown.status_code == 422
    assert refused.json()["errors"][0]["detail"].replace(input_id, absent) == unknown.json()["errors"][0]["detail"]
    assert (await submitted(client, input_id, headers=bearer("alice"))).status_code == 202


async def test_repeated_request(client: httpx2.AsyncClient) -> None:
    """A request with a data URL that is sent again with its key is the same job."""
    answers = [await submitted(client, data_url(PNG), headers={"Idempotency-Key": "k"}) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].json()["id"] == answers[1].json()["id"]
    assert answers[1].headers["Idempotency-Replayed"] == "true"


@pytest.fixture
def gateway_at(backends: Backends, catalogue: Catalogue, settings: Settings) -> Callable[[float], Gateway]:
    """Return another gateway whose clock is so many seconds ahead."""

    def at(seconds: float) -> Gateway:
        return Gateway(replace(backends, clock=lambda: time.time() + seconds), catalogue, settings)

    return at


async def _sweep(gateway: Gateway, backends: Backends) -> None:
    await Sweeper(gateway, replace(backends, clock=gateway.inputs.store._clock), 1).sweep()


async def test_kept_with_its_job(
    client: httpx2.AsyncClient, backends: Backends, worker: FakeWorker, gateway_at: Callable[[float], Gateway]
) -> None:
    """A file that a job was made from outlasts its time until the job is removed, and may be used again meanwhile."""
    used, unused = await sent(client), await sent(client)
    job_id = (await submitted(client, used)).json()["id"]
    await worker.succeed(job_id, PNG)

    later = gateway_at(DAY + LATE_SECONDS + 1)
    for _ in range(2):  # the first pass finds that the job exists, the second one trusts in it
        await _sweep(later, backends)
        assert (await later.inputs.read(used, lambda _owner: True)).id == used
        with pytest.raises(InputNotFound):
            await later.inputs.read(unused, lambda _owner: True)
    body = {"prompt": "mug", "image": used}
    again, _ = await later.accept(body)
    assert again.message.inputs["image"].key == file_key(None, used, "png")
    with pytest.raises(InvalidRequest):
        await later.accept({"prompt": "mug", "image": unused})

    for each in (job_id, again.job_id):
        assert (await client.delete(f"/v1/jobs/{each}")).status_code == 204
    await _sweep(later, backends)
    assert await backends.objects.list("inputs/") == []


async def test_removal_that_was_cut_short(
    client: httpx2.AsyncClient, backends: Backends, gateway_at: Callable[[float], Gateway]
) -> None:
    """After a removal that a crash cut short, the sweeper forgets that the job kept its file."""
    input_id = await sent(client)
    job_id = (await submitted(client, input_id)).json()["id"]
    now, later = gateway_at(UNDECIDED_SECONDS + 1), gateway_at(DAY + LATE_SECONDS + 1)
    await _sweep(now, backends)
    assert f"inputs/{input_id}/jobs/{job_id}" in await backends.objects.list("inputs/")
    await later._manifests.bury(job_id, None)

    await _sweep(later, backends)

    assert await backends.objects.list("inputs/") == []


async def test_hold_of_a_job_that_was_never_made(
    client: httpx2.AsyncClient, backends: Backends, gateway_at: Callable[[float], Gateway]
) -> None:
    """The hold of a crash before the record keeps a file for an hour at most, and no longer than its own time."""
    input_id = await sent(client)
    store = gateway_at(0).inputs.store
    await store.hold(await store.read(input_id), new_job_id())

    await _sweep(gateway_at(UNDECIDED_SECONDS - 10), backends)
    assert len(await backends.objects.list(f"inputs/{input_id}/")) == 2
    await _sweep(gateway_at(UNDECIDED_SECONDS + 10), backends)
    assert await backends.objects.list(f"inputs/{input_id}/") == [f"inputs/{input_id}/input.json"]


async def test_deletion_beside_a_new_job(client: httpx2.AsyncClient, backends: Backends, settings: Settings) -> None:
    """A file that ends while a job is made from it either stays for the job, or is refused to it."""
    record = await InputStore(backends.objects, backends.clock, DAY).read(await sent(client))
    ended = JobIds(lambda: time.time() - DAY - 1).new()
    record = record.model_copy(update={"id": ended, "key": file_key(None, ended, "png")})
    store = InputStore(backends.objects, backends.clock, DAY)

    await store.put(record, PNG)
    await store.hold(record, new_job_id())
    await store.delete_unheld(ended, [record.key])
    assert (await store.read(ended)).id == ended

    await store.put(record.model_copy(update={"id": (other := JobIds(lambda: 1e9).new())}), PNG)
    await store.delete_unheld(other, [file_key(None, other, "png")])
    with pytest.raises(InputNotFound):
        await store.hold(record.model_copy(update={"id": other}), new_job_id())


@pytest.mark.parametrize("settings", [{"keys": LINES}], indirect=True)
async def test_dead_letter_of_a_job_with_a_file(
    client: httpx2.AsyncClient, backends: Backends, worker: FakeWorker
) -> None:
    """A job that an operator has made again from a dead letter has the file of its owner, although it is not theirs."""
    input_id = await sent(client, headers=bearer("alice"))
    job_id = (await submitted(client, input_id, headers=bearer("alice"))).json()["id"]
    message = (await backends.statuses.get(job_id)).message
    await worker.fail(job_id, "poison")
    await dead_letter(backends, message)

    answer = await client.post(f"/v1/dead-letters/{message.message_id}/replay", headers=bearer("olga"))

    assert (answer.status_code, answer.json()["outcome"]) == (200, "resubmitted")
    again = answer.json()["job"]
    assert again["id"] != job_id
    assert (await backends.statuses.get(again["id"])).message.inputs == message.inputs
