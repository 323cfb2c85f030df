"""The distributed object store: any S3 server, by `s3://BUCKET?endpoint=URL&region=NAME`.

Path-style addresses, signature version 4, no checksum headers unless the server asks: older and smaller servers
understand these, too. Without an endpoint it is Amazon's.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import parse_qs, urlsplit

import aiohttp
from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession, get_session
from botocore.exceptions import BotoCoreError, ClientError
from botocore.handlers import add_expect_header
from pydantic import SecretStr

from services.common.addresses import s3_endpoint
from services.common.errors import BackendUnavailable, ObjectNotFound, StorageDenied

if TYPE_CHECKING:
    from types_aiobotocore_s3 import S3Client  # of the development dependencies

T = TypeVar("T")

CALL_SECONDS: Final = 2.0
CHUNK_SECONDS: Final = 10.0
BYTES_A_SECOND: Final = 1_000_000  # a put gets this much longer, or a large one would never succeed
CHUNK_BYTES: Final = 64 * 1024
CONNECTIONS: Final = 50
DELETE_AT_ONCE: Final = 1000  # what one DeleteObjects request may name
ABSENT: Final = ("NoSuchKey", "404", "NotFound")
REFUSED: Final = ("403", "401")  # a HEAD has no body to say more
OURS_ALREADY: Final = ("BucketAlreadyOwnedByYou", "BucketAlreadyExists")


class S3ObjectStore:
    """See the port `ObjectStore`. `presigner` signs for the endpoint that browsers reach."""

    def __init__(self, client: "S3Client", presigner: "S3Client", bucket: str) -> None:
        self._client = client
        self._presigner = presigner
        self._bucket = bucket

    async def put(self, key: str, data: bytes, media_type: str) -> None:
        await _answer(
            self._client.put_object(Bucket=self._bucket, Key=key, Body=data, ContentType=media_type),
            seconds=CALL_SECONDS + len(data) / BYTES_A_SECOND,
        )

    async def get(self, key: str) -> AsyncGenerator[bytes, None]:
        answer = await _answer(self._client.get_object(Bucket=self._bucket, Key=key), key)
        body = answer["Body"]
        try:
            while chunk := await _answer(body.read(CHUNK_BYTES), seconds=CHUNK_SECONDS):
                yield chunk
        finally:
            body.close()  # a half-read one would hold its connection

    async def url(self, key: str, *, media_type: str, filename: str, seconds: int) -> str | None:
        params = {
            "Bucket": self._bucket,
            "Key": key,
            "ResponseContentType": media_type,
            "ResponseContentDisposition": f'inline; filename="{filename}"',
        }
        return await _answer(self._presigner.generate_presigned_url("get_object", Params=params, ExpiresIn=seconds))

    async def list(self, prefix: str) -> list[str]:
        """List with a deadline for every thousand keys: a bucket may hold millions."""
        found: list[str] = []
        pages = aiter(self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix))
        while page := await _answer(anext(pages, None)):
            found += [each["Key"] for each in page.get("Contents", ())]
        return sorted(found)

    async def delete(self, keys: Sequence[str]) -> None:
        for start in range(0, len(keys), DELETE_AT_ONCE):
            await _answer(self._delete(keys[start : start + DELETE_AT_ONCE]))

    async def ping(self) -> None:
        await _answer(self._client.head_bucket(Bucket=self._bucket))

    async def open(self) -> None:
        """Make the bucket unless it exists; without the right to make buckets, have it made beforehand."""
        try:
            await self.ping()
        except BackendUnavailable as exc:
            code = _code(exc.__cause__)
            if code in REFUSED:
                reason = f"these credentials are wrong, or may not use the bucket {self._bucket}"
                raise BackendUnavailable("objects", reason) from exc
            if code not in ABSENT:
                raise
            await self._create_bucket()

    async def _create_bucket(self) -> None:
        region: Any = self._client.meta.region_name
        place: dict[str, Any] = {}
        if region != "us-east-1":  # the one region that may not be named
            place["CreateBucketConfiguration"] = {"LocationConstraint": region}
        try:
            await _answer(self._client.create_bucket(Bucket=self._bucket, **place))
        except BackendUnavailable as exc:
            if _code(exc.__cause__) not in OURS_ALREADY:  # another process was faster
                raise

    async def _delete(self, keys: Sequence[str]) -> None:
        answer = await self._client.delete_objects(
            Bucket=self._bucket, Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True}
        )
        errors = [error for error in answer.get("Errors", ()) if error.get("Code") not in ABSENT]
        if errors:
            raise BackendUnavailable("objects", errors[0].get("Message", "not deleted"))


@asynccontextmanager
async def open_s3_object_store(
    url: str,
    *,
    access_key: SecretStr | None = None,
    secret_key: SecretStr | None = None,
    public_endpoint: str | None = None,
) -> AsyncIterator[S3ObjectStore]:
    """Raise BackendUnavailable when the server does not answer or refuses the credentials.

    Without credentials, botocore looks for them where it always does.
    """
    parts = urlsplit(url)
    session = get_session()
    # It makes a put wait for "100 Continue" with no timeout armed, so without end when the server is silent.
    session.unregister("before-call.s3", add_expect_header)  # type: ignore[arg-type]  # stubs know one shape only
    common: dict[str, Any] = {
        "region_name": parse_qs(parts.query).get("region", ["us-east-1"])[0],
        "aws_access_key_id": access_key and access_key.get_secret_value(),
        "aws_secret_access_key": secret_key and secret_key.get_secret_value(),
    }
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(_client(session, s3_endpoint(url), common))
        presigner = client
        if public_endpoint:
            presigner = await stack.enter_async_context(_client(session, public_endpoint, common))
        store = S3ObjectStore(client, presigner, parts.netloc)
        await store.open()
        yield store


def _client(session: AioSession, endpoint: str | None, common: dict[str, Any]) -> Any:
    config = AioConfig(
        signature_version="s3v4",
        s3={"addressing_style": "path"},
        connect_timeout=1,
        read_timeout=CHUNK_SECONDS,
        retries={"total_max_attempts": 2, "mode": "standard"},
        max_pool_connections=CONNECTIONS,
        # Servers older than these headers refuse what carries them.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    return session.create_client("s3", endpoint_url=endpoint, config=config, **common)


async def _answer(call: Awaitable[T], key: str = "", *, seconds: float = CALL_SECONDS) -> T:
    try:
        async with asyncio.timeout(seconds):
            return await call
    except ClientError as exc:
        if key and _code(exc) in ABSENT:
            raise ObjectNotFound(key) from exc
        if _is_denied(exc):
            raise StorageDenied(exc) from exc
        raise BackendUnavailable("objects", exc) from exc
    except (BotoCoreError, aiohttp.ClientError, OSError, TimeoutError) as exc:
        raise BackendUnavailable("objects", str(exc) or f"no answer within {seconds:g} s") from exc


def _is_denied(exc: ClientError) -> bool:
    status = exc.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return status in (401, 403) or _code(exc) == "NoSuchBucket"


def _code(exc: BaseException | None) -> str:
    return str(exc.response.get("Error", {}).get("Code", "")) if isinstance(exc, ClientError) else ""
