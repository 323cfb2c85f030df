"""Where no S3 server answers, or none can be asked, the object store says what to correct."""

import pytest
from pydantic import SecretStr

from services.common.errors import BackendUnavailable, StorageDenied
from services.common.objects.s3 import open_s3_object_store
from tests.support.fakes import CannedServer, canned

pytestmark = pytest.mark.anyio

KEY, SECRET = SecretStr("an-access-key"), SecretStr("a-secret-key")
CONSOLE = b"<!doctype html><html><head><meta charset='utf-8'><title>Console</title></head></html>"
XHTML = b"<html xmlns='http://www.w3.org/1999/xhtml'><head><title>It works</title></head><body/></html>"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (CONSOLE, "200 OK"),
        (XHTML, "200 OK"),
        (b"", "200 OK"),
        (CONSOLE, "404 Not Found"),
    ],
)
async def test_another_program_is_no_store(body: bytes, status: str) -> None:
    """A program that answers with something else, such as the console of a server, is not taken for a store."""
    async with CannedServer([canned(body, status, "text/html")]).serving() as url:
        with pytest.raises(BackendUnavailable) as caught:
            async with open_s3_object_store(f"s3://studio?endpoint={url}", access_key=KEY, secret_key=SECRET):
                pass
    assert "no S3 server" in caught.value.cure
    assert len(str(caught.value)) < 500


LISTING = canned(
    b'<?xml version="1.0"?><ListBucketResult><Name>studio</Name><KeyCount>0</KeyCount></ListBucketResult>',
    "200 OK",
    "application/xml",
)


@pytest.mark.parametrize("headers", [(), ("Content-Range: bytes 0-3/9",)])
async def test_server_that_answers_another_part(headers: tuple[str, ...]) -> None:
    """A server that answers the request for a part with the whole, or with another part, gives no wrong bytes."""
    answers = [LISTING, canned(b"RIFFWAVE.", "200 OK", "audio/wav", *headers)]
    async with (
        CannedServer(answers).serving() as url,
        open_s3_object_store(f"s3://studio?endpoint={url}", access_key=KEY, secret_key=SECRET) as objects,
    ):
        with pytest.raises(BackendUnavailable, match="part of an object"):
            await anext(objects.get("jobs/a.wav", 4, 8))


@pytest.mark.parametrize(("access_key", "secret_key"), [(KEY, None), (None, SECRET)])
async def test_half_of_the_keys(
    access_key: SecretStr | None, secret_key: SecretStr | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One key without the other, as an empty variable leaves it, is told with the names of both."""
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(StorageDenied) as caught:
        async with open_s3_object_store("s3://studio?endpoint=http://s3", access_key=access_key, secret_key=secret_key):
            pass
    assert "STUDIO_S3_ACCESS_KEY and STUDIO_S3_SECRET_KEY" in caught.value.cure


async def test_profile_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """A profile in the environment that no file has is told by its variable."""
    monkeypatch.setenv("AWS_PROFILE", "no-such-profile")
    with pytest.raises(StorageDenied, match="no-such-profile") as caught:
        async with open_s3_object_store("s3://studio?endpoint=http://s3", access_key=KEY, secret_key=SECRET):
            pass
    assert "AWS_PROFILE" in caught.value.cure
