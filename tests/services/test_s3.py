"""S3 alone has a server that stops, presigned URLs and credentials."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable
from uuid import uuid4

import httpx2
import pytest
from pydantic import SecretStr

from services.common.errors import BackendUnavailable, ObjectNotFound, StorageDenied
from services.common.objects.s3 import S3ObjectStore, open_s3_object_store
from tests.support.servers.stack import Stack

pytestmark = [pytest.mark.anyio, pytest.mark.services]


@pytest.fixture
async def objects(stack: Stack) -> AsyncIterator[S3ObjectStore]:
    async with open_s3_object_store(
        stack.objects_url,
        access_key=SecretStr(stack.s3_access_key),
        secret_key=SecretStr(stack.s3_secret_key),
    ) as store:
        yield store


async def read(objects: S3ObjectStore, key: str) -> bytes:
    return b"".join([chunk async for chunk in objects.get(key)])


async def refused(call: Awaitable[object]) -> None:
    """Check that the call raises within 3 s."""
    started = time.monotonic()
    with pytest.raises(BackendUnavailable):
        await call
    assert time.monotonic() - started < 3


async def test_silent_server_is_answered_in_time(objects: S3ObjectStore, stack: Stack) -> None:
    """While the server is suspended every call, a put above all, raises within 3 s."""
    key = f"jobs/{uuid4()}/a.bin"
    await objects.put(key, b"data", "application/octet-stream")
    stack.s3.pause()
    try:
        await asyncio.gather(
            refused(objects.put(key, b"data", "application/octet-stream")),
            refused(read(objects, key)),
            refused(objects.list("jobs/")),
            refused(objects.delete([f"{key}.other"])),
            refused(objects.ping()),
        )
    finally:
        stack.s3.resume()

    assert await read(objects, key) == b"data"


async def test_restarted_server_is_used_at_once(objects: S3ObjectStore, stack: Stack) -> None:
    """A stopped server is unavailable, and after its restart the first call works."""
    key = f"jobs/{uuid4()}/a.bin"
    stack.s3.kill()
    with pytest.raises(BackendUnavailable):
        await objects.put(key, b"data", "application/octet-stream")
    stack.s3.start()

    await objects.put(key, b"data", "application/octet-stream")

    assert await read(objects, key) == b"data"


async def test_presigned_address_fetches(objects: S3ObjectStore) -> None:
    """Any client with the presigned URL gets the bytes, type and name; without the signature none does."""
    key = f"jobs/{uuid4()}/a.png"
    await objects.put(key, b"picture", "application/octet-stream")

    url = await objects.url(key, media_type="image/png", filename="cup.png", seconds=60)

    assert url is not None
    async with httpx2.AsyncClient(trust_env=False) as client:
        answer = await client.get(url)
        unsigned = await client.get(url.partition("?")[0])
    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, b"picture", "image/png")
    assert 'filename="cup.png"' in answer.headers["content-disposition"]
    assert unsigned.status_code >= 400


async def test_presigned_address_names_the_public_endpoint(stack: Stack) -> None:
    """A presigned URL names the endpoint that browsers reach, not the internal one."""
    async with open_s3_object_store(
        stack.objects_url,
        access_key=SecretStr(stack.s3_access_key),
        secret_key=SecretStr(stack.s3_secret_key),
        public_endpoint="https://photos.example",
    ) as objects:
        url = await objects.url("jobs/a", media_type="image/png", filename="a.png", seconds=60)

    assert url is not None
    assert url.startswith("https://photos.example/studio/jobs/a?")


@pytest.mark.parametrize("access_key", ["studio-access", "nobody"])
async def test_wrong_credentials_are_named_at_open(stack: Stack, access_key: str) -> None:
    """Opening the store with wrong keys says that the credentials are refused."""
    with pytest.raises(BackendUnavailable, match="credentials"):
        async with open_s3_object_store(
            stack.objects_url, access_key=SecretStr(access_key), secret_key=SecretStr("wrong")
        ):
            pass


async def test_large_object_streams(objects: S3ObjectStore) -> None:
    """An object comes in chunks, and one left half read does not disturb the next."""
    key = f"jobs/{uuid4()}/a.bin"
    data = bytes(range(256)) * 4096
    await objects.put(key, data, "application/octet-stream")

    chunks = objects.get(key)
    first = await anext(chunks)
    await chunks.aclose()

    assert data[: len(first)] == first
    assert len(first) < len(data)
    assert data == await read(objects, key)


async def test_missing_bucket_is_no_missing_object(objects: S3ObjectStore, stack: Stack) -> None:
    """A key that is not there is ObjectNotFound; a bucket that vanished is an unavailable store."""
    with pytest.raises(ObjectNotFound):
        await read(objects, f"jobs/{uuid4()}/none")

    other = S3ObjectStore(objects._client, objects._client, f"gone-{uuid4().hex[:8]}")
    with pytest.raises(BackendUnavailable):
        await read(other, "jobs/none")


@pytest.mark.parametrize("name", [".DS_Store", "Thumbs.db", "._photo.png", "notes/Caf\u00e9 & tea.txt"])
async def test_foreign_names_go_with_their_folder(objects: S3ObjectStore, name: str) -> None:
    """A foreign object below a job is none of ours, and goes with the job."""
    folder = f"jobs/{uuid4()}"
    await objects.put(f"{folder}/manifest.json", b"{}", "application/json")
    await objects._client.put_object(Bucket="studio", Key=f"{folder}/{name}", Body=b"odd")

    assert await objects.list(f"{folder}/") == [f"{folder}/manifest.json"]
    await objects.clear(folder)

    assert await objects._names(f"{folder}/") == []


async def test_revoked_credentials_are_not_ready(objects: S3ObjectStore, stack: Stack) -> None:
    """When the server refuses a client that it served, a ping says what to correct; it is ready again afterwards."""
    await objects.ping()
    with stack.s3.other_keys():
        with pytest.raises(StorageDenied) as caught:
            await objects.ping()
        assert "STUDIO_S3_SECRET_KEY" in caught.value.cure
    await objects.ping()


async def test_vanished_bucket_is_not_ready(objects: S3ObjectStore, stack: Stack) -> None:
    """A bucket that was deleted is named, with the command that makes it."""
    other = S3ObjectStore(objects._client, objects._client, f"gone-{uuid4().hex[:8]}")
    with pytest.raises(BackendUnavailable) as caught:
        await other.ping()
    assert f"aws s3 mb s3://{other._bucket} --endpoint-url {stack.s3.endpoint}" in caught.value.cure
