"""The URLs of OpenAI's route work by themselves for an hour, and for one image."""

import io
import time
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx2
import pytest
from asgi_lifespan import LifespanManager
from PIL import Image

from services.api.app import create_app
from services.api.auth import signed_links
from services.common.catalogue.catalogue import Catalogue
from services.common.settings import Settings
from tests.support.api_keys import LINES, bearer
from tests.support.fakes import FakeWorker, stored_image

pytestmark = pytest.mark.anyio

SECRET = "0123456789abcdef"
IMAGES = (stored_image(seed="1"), stored_image(seed="2"))
with_keys = pytest.mark.parametrize("settings", [{"keys": LINES, "secret_key": SECRET}], indirect=True)
with_and_without_keys = pytest.mark.parametrize("settings", [{"keys": LINES}, {}], indirect=True, ids=["keys", "none"])


async def links(client: httpx2.AsyncClient, worker: FakeWorker, **asked: object) -> list[str]:
    """Return the URLs of two images, made with a key."""
    body = {"prompt": "red mug", "n": 2, "response_format": "url", **asked}
    async with worker.finishing(*IMAGES):
        answer = await client.post("/v1/images/generations", json=body, headers=bearer("alice"))
    assert answer.status_code == 200, answer.text
    return [image["url"].replace(":None", "") for image in answer.json()["data"]]  # no socket, so no port


def changed(url: str, **query: str) -> str:
    """Return the URL with these parameters changed; an empty one is left out."""
    parts = urlsplit(url)
    given = {name: value for name, value in {**dict(parse_qsl(parts.query)), **query}.items() if value}
    return parts._replace(query=urlencode(given)).geturl()


@with_and_without_keys
async def test_links_need_no_key(client: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """Each URL is absolute, ends in the file's extension, and brings the file to any client."""
    made = await links(client, worker)
    assert [urlsplit(url).path.rpartition("/")[2] for url in made] == ["0.png", "1.png"]
    assert all(url.startswith("http") for url in made)
    answers = [await client.get(url) for url in made]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert tuple(answer.content for answer in answers) == IMAGES
    assert (await client.head(made[0])).status_code == 200


@with_keys
async def test_links_to_other_formats(client: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """The URL of a JPEG brings a JPEG, in any browser and program that goes by its name."""
    (url, _) = await links(client, worker, output_format="jpeg", output_compression=80)
    assert urlsplit(url).path.endswith("/0.jpg")
    assert Image.open(io.BytesIO((await client.get(url)).content)).format == "JPEG"


@with_keys
async def test_link_is_for_one_artifact(client: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """A signature opens no other artifact, no other job and nothing else of the job."""
    one, other = await links(client, worker)
    (later, _) = await links(client, worker)
    job = one.partition("/artifacts/")[0]
    query = urlsplit(one).query
    closed = [
        f"{other.partition('?')[0]}?{query}",
        f"{later.partition('?')[0]}?{query}",
        f"{job}/artifacts?{query}",
        f"{job}?{query}",
        f"{job}/artifacts/00000?{query}",
        f"{job}/artifacts/x?{query}",
    ]
    assert [(await client.get(url)).status_code for url in closed] == [403, 403, 401, 401, 403, 403]
    assert (await client.delete(f"{job}?{query}")).status_code == 401


@with_and_without_keys
async def test_changed_links(client: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """A link with another end or signature, or without an end, is refused: 403, with or without a key."""
    (url, _) = await links(client, worker)
    expires = dict(parse_qsl(urlsplit(url).query))["expires"]
    for broken in (
        changed(url, expires=str(int(expires) + 1)),
        changed(url, expires=""),
        changed(url, expires="never"),
        changed(url, signature="0" * 64),
        changed(url, signature="é" * 64),
        changed(url, signature="x" * 3000),
    ):
        for headers in ({}, bearer("alice")):
            answer = await client.get(broken, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (403, "invalid-link"), broken


@with_keys
@pytest.mark.parametrize(("seconds", "status"), [(3590, 200), (3601, 403), (10**9, 403)])
async def test_links_end(
    client: httpx2.AsyncClient, worker: FakeWorker, monkeypatch: pytest.MonkeyPatch, seconds: int, status: int
) -> None:
    """A link works for an hour; after that the answer says when it ended, and what to do."""
    (url, _) = await links(client, worker)
    now = time.time()
    monkeypatch.setattr(signed_links, "time", lambda: now + seconds)
    answer = await client.get(url)
    assert answer.status_code == status
    if status == 403:
        assert "ended at 20" in answer.json()["detail"]
        assert "with a key" in answer.json()["detail"]


@with_keys
async def test_links_hold_on_other_gateways(
    client: httpx2.AsyncClient, worker: FakeWorker, settings: Settings, catalogue: Catalogue, tmp_path: Path
) -> None:
    """A gateway with the same secret takes the link, one with another secret does not."""
    (url, _) = await links(client, worker)
    for secret, status in ((SECRET, 200), ("another-secret-key", 403)):
        other = Settings.model_validate({**settings.model_dump(), "keys": LINES, "secret_key": secret})
        async with LifespanManager(create_app(other, catalogue)) as manager:
            async with httpx2.AsyncClient(transport=httpx2.ASGITransport(manager.app)) as elsewhere:
                assert (await elsewhere.get(url)).status_code == status


@pytest.mark.parametrize("settings", [{"public_url": "https://example.com/studio/", "keys": LINES}], indirect=True)
async def test_links_begin_with_the_public_url(client: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """Behind a proxy the link is that of the outer address, prefix included, and works through the proxy."""
    (url, _) = await links(client, worker)
    assert url.startswith("https://example.com/studio/v1/jobs/")
    outer = urlsplit(url)
    assert (await client.get(f"{outer.path}?{outer.query}")).content == IMAGES[0]
    assert (await client.get(f"{outer.path.removeprefix('/studio')}?{outer.query}")).content == IMAGES[0]


@pytest.mark.parametrize(
    "settings", [{}, {"public_url": "https://photos.example"}], indirect=True, ids=["unset", "set"]
)
@pytest.mark.parametrize("how", ["url", "b64_json"])
@pytest.mark.parametrize("host", ["photos.internal", "studio.test"])
async def test_links_to_an_address_that_may_not_be_reached(
    client: httpx2.AsyncClient, worker: FakeWorker, settings: Settings, how: str, host: str
) -> None:
    """A client that came by another name than its URLs begin with reads which setting makes them work."""
    async with worker.finishing(*IMAGES):
        body = {"prompt": "red mug", "response_format": how}
        answer = await client.post("/v1/images/generations", json=body, headers={"Host": host})

    told = [(warning["code"], "STUDIO_PUBLIC_URL" in warning["message"]) for warning in answer.json()["warnings"]]
    lost = settings.public_url is None and how == "url" and host == "photos.internal"
    assert told == ([("address-unknown", True)] if lost else [])
