"""Files are sent in, looked at and removed over HTTP."""

import asyncio
import os
import time
from datetime import datetime
from pathlib import Path

import httpx2
import pytest
from starlette.types import ASGIApp

from services.api.core.gateway import Gateway
from services.api.core.inputs.keys import file_key
from services.api.core.inputs.store import InputStore
from services.api.core.inputs.sweep import LATE_SECONDS
from services.api.core.inputs.upload_folder import delete_left_behind
from services.api.core.sweeper import Sweeper
from services.common.backends import Backends
from services.common.catalogue.catalogue import Catalogue
from services.common.ids import JobIds, new_job_id
from services.common.settings import Settings
from tests.support.api_keys import LINES, bearer
from tests.support.picture_files import encoded, opened, picture, tone

pytestmark = pytest.mark.anyio

PNG = encoded(picture())


async def sent(client: httpx2.AsyncClient, data: bytes = PNG, **options: object) -> httpx2.Response:
    """Send the file as the body."""
    return await client.post("/v1/inputs", content=data, **options)  # type: ignore[arg-type]


async def accepted(client: httpx2.AsyncClient, data: bytes = PNG, **options: object) -> str:
    answer = await sent(client, data, **options)
    assert answer.status_code == 201, answer.text
    made: str = answer.json()["id"]
    return made


@pytest.mark.parametrize("form", [True, False], ids=["form", "body"])
async def test_taken(client: httpx2.AsyncClient, form: bool) -> None:
    """A picture is stored and described, whether it is a field of a form or the whole body."""
    if form:
        answer = await client.post("/v1/inputs", files={"file": ("../../etc/mug.png", PNG, "text/plain")})
    else:
        answer = await sent(client, headers={"Content-Type": "image/gif"})

    view = answer.json()
    assert answer.status_code == 201
    assert answer.headers["Location"] == view["links"]["self"] == f"/v1/inputs/{view['id']}"
    assert (view["media_type"], view["width"], view["height"], view["seconds"]) == ("image/png", 64, 32, None)
    assert view["warnings"] == []
    lasts = datetime.fromisoformat(view["expires_at"]) - datetime.fromisoformat(view["created_at"])
    assert lasts.total_seconds() == 86_400
    assert (await client.get(view["links"]["self"])).json() == view

    file = await client.get(view["links"]["file"])
    assert (file.status_code, file.headers["Content-Type"], len(file.content)) == (200, "image/png", view["bytes"])
    assert file.headers["ETag"] == f'"{view["sha256"]}"'
    assert list(opened(file.content).get_flattened_data()) == list(picture().get_flattened_data())
    again = await client.get(view["links"]["file"], headers={"If-None-Match": file.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    head = await client.head(view["links"]["file"])
    assert (head.content, head.headers["Content-Length"]) == (b"", str(view["bytes"]))


async def test_removed(client: httpx2.AsyncClient, backends: Backends) -> None:
    """A removed input answers 404, and nothing of it is left in the object store."""
    path = f"/v1/inputs/{await accepted(client)}"

    assert (await client.delete(path)).status_code == 204

    for gone in (await client.get(path), await client.get(f"{path}/file"), await client.delete(path)):
        assert (gone.status_code, gone.json()["code"]) == (404, "input-not-found")
    assert await backends.objects.list("inputs/") == []


@pytest.mark.parametrize("settings", [{"keys": LINES}], indirect=True)
async def test_another_owners(client: httpx2.AsyncClient) -> None:
    """With keys an input is its owner's: for another key it does not exist, and an operator sees it."""
    path = f"/v1/inputs/{await accepted(client, headers=bearer('alice'))}"

    for gone in (
        await client.get(path, headers=bearer("bob")),
        await client.get(f"{path}/file", headers=bearer("bob")),
        await client.delete(path, headers=bearer("bob")),
    ):
        assert (gone.status_code, gone.json()["code"]) == (404, "input-not-found")
    assert (await client.get(f"{path}/file", headers=bearer("alice"))).status_code == 200
    assert (await client.get(path, headers=bearer("olga"))).status_code == 200
    assert (await client.post("/v1/inputs", content=PNG)).status_code == 401


@pytest.mark.parametrize("input_id", ["none", "0" * 36, "..%2f..", "UPPER", "new"])
async def test_unknown(client: httpx2.AsyncClient, input_id: str) -> None:
    """An id that no input has is a 404, whatever it looks like."""
    made = {"UPPER": new_job_id().upper(), "new": new_job_id()}

    answer = await client.get(f"/v1/inputs/{made.get(input_id, input_id)}/file")

    assert answer.status_code == 404


@pytest.mark.parametrize("settings", [{"input_ttl_seconds": 3600}], indirect=True)
async def test_ends(client: httpx2.AsyncClient, backends: Backends, settings: Settings, catalogue: Catalogue) -> None:
    """An input is gone once its time is over, and the sweeper then deletes it, and what a crash left of another."""
    store = InputStore(backends.objects, backends.clock, settings.input_ttl_seconds)
    kept = await accepted(client)
    record = await store.read(kept)
    old = JobIds(lambda: time.time() - 3601).new()
    await store.put(record.model_copy(update={"id": old, "key": file_key(None, old, "png")}), PNG)
    older, orphan = (JobIds(lambda: time.time() - 3610 - LATE_SECONDS).new() for _ in range(2))
    await store.put(record.model_copy(update={"id": older, "key": file_key(None, older, "png")}), PNG)
    await backends.objects.put(file_key(None, orphan, "png"), PNG, "image/png")
    assert (await client.get(f"/v1/inputs/{old}")).status_code == 404

    await Sweeper(Gateway(backends, catalogue, settings), backends, 1).sweep()

    left = await backends.objects.list("inputs/")
    assert {each for each in (kept, old, older, orphan) if any(each in key for key in left)} == {kept, old}
    assert (await client.get(f"/v1/inputs/{kept}/file")).status_code == 200


async def test_sound(client: httpx2.AsyncClient) -> None:
    """A sound is measured, and kept as it came."""
    data = tone(1.5)

    view = (await client.post("/v1/inputs", files={"file": ("mug.png", data, "image/png")})).json()

    assert (view["media_type"], view["seconds"], view["width"]) == ("audio/wav", 1.5, None)
    assert (await client.get(view["links"]["file"])).content == data


@pytest.mark.parametrize("settings", [{"max_input_bytes": 2048, "max_body_bytes": 1024}], indirect=True)
async def test_own_limit(client: httpx2.AsyncClient) -> None:
    """The route has a limit of its own, which is told; a form may be a little longer than its file."""
    small = PNG + b"\0" * (2048 - len(PNG))

    assert (await client.post("/v1/inputs", files={"file": ("a", small)})).status_code == 201
    for answer in (
        await client.post("/v1/inputs", files={"file": ("a", small + b"\0")}),
        await sent(client, small + b"\0"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (413, "input-too-large")
        assert "2048 bytes" in answer.json()["detail"]
    longer = await sent(client, b"\0" * 140_000)
    assert (longer.status_code, longer.json()["code"]) == (413, "body-too-large")
    assert (await client.post("/v1/jobs", json={"prompt": "m" * 2000})).status_code == 413


@pytest.mark.parametrize(
    ("content_type", "body", "told"),
    [
        ("multipart/form-data", b"", "empty"),
        ("multipart/form-data", b"--b\r\n", "no boundary"),
        ("multipart/form-data; boundary=b", b"no form", "broken"),
        ("multipart/form-data; boundary=b", b"--b--\r\n", "no field 'file'"),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="photo"\r\n\r\na\r\n--b--\r\n',
            "'photo'",
        ),
        ("multipart/form-data; boundary=b", b"--b\r\nA: b\r\n\r\na\r\n--b--\r\n", "no name"),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\na\r\n' * 2 + b"--b--\r\n",
            "several",
        ),
        ("multipart/form-data; boundary=b", b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\na', "ends"),
        ("multipart/form-data; boundary=" + "b" * 3000, b"--b\r\n", "broken"),
    ],
)
async def test_broken_form(client: httpx2.AsyncClient, content_type: str, body: bytes, told: str) -> None:
    """A form without exactly one whole file is refused with the reason."""
    answer = await sent(client, body, headers={"Content-Type": content_type})

    assert answer.status_code == 422
    assert told in answer.json()["detail"]


async def test_compressed_body(client: httpx2.AsyncClient) -> None:
    """A compressed body is refused, since its length says nothing of the file's."""
    answer = await sent(client, headers={"Content-Encoding": "gzip"})

    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported-media-type")


@pytest.mark.parametrize("settings", [{"rate_limit": "2/minute"}], indirect=True)
async def test_counts_as_a_submit(client: httpx2.AsyncClient) -> None:
    """Files count with the submits of a caller, so that none fills the object store."""
    answers = [await sent(client) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [201, 201, 429]
    assert answers[0].headers["RateLimit"].startswith('"submit";r=1')


async def test_nothing_is_left_in_temporary_folders(
    client: httpx2.AsyncClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The temporary files of an upload are deleted, whether it was taken, refused or cut off by its client."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = sorted(tmp_path.glob("studio-input-*"))

    await asyncio.gather(sent(client), sent(client, b"nothing"), sent(client, PNG[:-20]))

    assert sorted(tmp_path.glob("studio-input-*")) == before == []


async def test_full_disk(client: httpx2.AsyncClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without room for a temporary file the answer is 503, and the file may be sent again."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))

    answer = await sent(client)

    assert (answer.status_code, answer.json()["code"]) == (503, "too-busy")


async def test_many_at_once(client: httpx2.AsyncClient, app: ASGIApp) -> None:
    """Several files of one caller are taken at the same time, each as its own input."""
    answers = await asyncio.gather(*(sent(client) for _ in range(4)))

    assert [answer.status_code for answer in answers] == [201] * 4
    assert len({answer.json()["id"] for answer in answers}) == 4


async def test_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The temporary files of a gateway that was killed are deleted an hour later, when one starts."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    old, new, other = (tmp_path / name for name in ("studio-input-old", "studio-input-new", "another"))
    for folder in (old, new, other):
        folder.mkdir()
        (folder / "body").write_bytes(PNG)
    for folder in (old, other):
        os.utime(folder, (0, 0))

    delete_left_behind()

    assert sorted(tmp_path.iterdir()) == [other, new]
