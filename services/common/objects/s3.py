"""The distributed object store: any S3 server, by `s3://BUCKET?endpoint=URL&region=NAME`."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit

import aiohttp
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from pydantic import SecretStr

from services.common.budget import allowed, extend_budget
from services.common.errors import BackendUnavailable, ObjectNotFound, StorageDenied
from services.common.faults.refusals import Refusals
from services.common.faults.s3 import ABSENT, FOREIGN, KEYS, NO_BUCKET, s3_client_fault, s3_code, s3_fault
from services.common.objects.keys import check_range, is_object_key
from services.common.objects.s3_clients import CHUNK_SECONDS, open_s3_clients

if TYPE_CHECKING:
    from types_aiobotocore_s3 import S3Client  # of the development dependencies

T = TypeVar("T")

CALL_SECONDS: Final = 2.0
BYTES_A_SECOND: Final = 1_000_000  # large objects get this much longer, or they would never succeed
CHUNK_BYTES: Final = 64 * 1024
DELETE_AT_ONCE: Final = 1000  # what one DeleteObjects request may name
PROBE: Final = "probe/ready"
PROBE_SECONDS: Final = 30.0  # between two writes that only tell whether writing is allowed: they are billed
OURS_ALREADY: Final = ("BucketAlreadyOwnedByYou", "BucketAlreadyExists")
LISTING: Final = {"Name", "KeyCount", "MaxKeys", "IsTruncated"}  # a server may leave out some
BEYOND: Final = "InvalidRange"
SHOWN: Final = 300  # characters of an error, which may quote a page
FAILURES: Final = (BotoCoreError, ResponseParserError, aiohttp.ClientError, OSError, TimeoutError)


class S3ObjectStore:
    """See the port `ObjectStore`. `presigner` signs for the endpoint that browsers reach."""

    def __init__(self, client: "S3Client", presigner: "S3Client", bucket: str) -> None:
        self._client = client
        self._presigner = presigner
        self._bucket = bucket
        self._refusals = Refusals("objects")
        self._written_at = -PROBE_SECONDS  # the last put that succeeded

    async def put(self, key: str, data: bytes, media_type: str) -> None:
        self._written_at = -PROBE_SECONDS
        extend_budget(len(data) / BYTES_A_SECOND)
        await self._answer(
            self._client.put_object(Bucket=self._bucket, Key=key, Body=data, ContentType=media_type),
            seconds=CALL_SECONDS + len(data) / BYTES_A_SECOND,
        )
        self._written_at = time.monotonic()

    async def get(self, key: str, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        check_range(start, end)
        body = await self._open(key, start, end)
        if body is None:
            return
        try:
            while chunk := await self._answer(body.read(CHUNK_BYTES), seconds=CHUNK_SECONDS):
                extend_budget(len(chunk) / BYTES_A_SECOND)
                yield chunk
        finally:
            body.close()  # a half-read one would hold its connection

    async def _open(self, key: str, start: int, end: int | None) -> Any:
        """Return the body with these bytes of the object; None for the first bytes of an empty one."""
        wanted: dict[str, Any] = {}
        if start or end is not None:
            wanted["Range"] = f"bytes={start}-" if end is None else f"bytes={start}-{end - 1}"
        call = self._client.get_object(Bucket=self._bucket, Key=key, **wanted)
        try:
            answer = await self._answer(call, key, absent=(*ABSENT, BEYOND))
        except ObjectNotFound as exc:
            if _code(exc.__cause__) != BEYOND:
                raise
            if start:
                raise ObjectNotFound(key, f"byte {start} of the object") from exc
            return None
        # By the header: the status of a part is 200 with some servers (rclone).
        if wanted and not answer.get("ContentRange", "").startswith(f"bytes {start}-"):
            answer["Body"].close()
            raise self._refusals.error("it answers the request for a part of an object with the whole", None)
        return answer["Body"]

    async def url(self, key: str, *, media_type: str, filename: str, seconds: int) -> str | None:
        params = {
            "Bucket": self._bucket,
            "Key": key,
            "ResponseContentType": media_type,
            "ResponseContentDisposition": f'inline; filename="{filename}"',
        }
        return await self._answer(
            self._presigner.generate_presigned_url("get_object", Params=params, ExpiresIn=seconds)
        )

    async def list(self, prefix: str) -> list[str]:
        """List with a deadline for every thousand keys: a bucket may hold millions."""
        return sorted(filter(is_object_key, await self._names(prefix)))

    async def delete(self, keys: Sequence[str]) -> None:
        errors: list[Mapping[str, Any]] = []
        for start in range(0, len(keys), DELETE_AT_ONCE):
            errors += await self._answer(self._delete(keys[start : start + DELETE_AT_ONCE]))
        if errors:
            raise self._error(errors[0].get("Message", "not deleted"), {"Error": errors[0]})

    async def clear(self, folder: str) -> None:
        names = await self._names(f"{folder}/")
        await self.delete([name for name in names if is_object_key(name)])
        for name in names:
            if not is_object_key(name):  # one at a time: some names have no place in the XML of a longer request
                await self._answer(self._client.delete_object(Bucket=self._bucket, Key=name))

    async def ping(self) -> None:
        await self._look()
        if time.monotonic() - self._written_at >= PROBE_SECONDS:
            await self.put(PROBE, b"", "text/plain")
        self._refusals.mended()

    async def open(self) -> None:
        """Make the bucket unless it exists; without the right to make buckets, have it made beforehand."""
        try:
            await self._look(absent=(*ABSENT, NO_BUCKET))
        except ObjectNotFound:
            await self._create_bucket()
        except StorageDenied as exc:
            if KEYS not in exc.cure:
                raise
            reason = f"these credentials are wrong, or may not use the bucket {self._bucket}: {exc.__cause__}"
            raise StorageDenied(reason, exc.cure) from exc

    async def _look(self, absent: Sequence[str] = ()) -> None:
        """List one object: unlike HEAD, a refusal has a body here that says why."""
        listing = self._client.list_objects_v2(Bucket=self._bucket, MaxKeys=1)
        answer: Mapping[str, Any] = await self._answer(listing, self._bucket, absent=absent)
        if not answer.keys() & LISTING:
            raise self._refusals.error("it answers with something else than a list of objects", FOREIGN)

    async def _names(self, prefix: str) -> Sequence[str]:
        """Return all names with this prefix, also those that are no keys."""
        found: list[str] = []
        pages = aiter(self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix))
        while page := await self._answer(anext(pages, None)):
            found += [each["Key"] for each in page.get("Contents", ())]
        return found

    async def _create_bucket(self) -> None:
        region: Any = self._client.meta.region_name
        place: dict[str, Any] = {}
        if region != "us-east-1":  # the one region that may not be named
            place["CreateBucketConfiguration"] = {"LocationConstraint": region}
        try:
            await self._answer(self._client.create_bucket(Bucket=self._bucket, **place))
        except BackendUnavailable as exc:
            if _code(exc.__cause__) not in OURS_ALREADY:  # another process was faster
                raise

    async def _delete(self, keys: Sequence[str]) -> Sequence[Mapping[str, Any]]:
        """Delete the keys, and return the errors of those that stay."""
        if not keys:
            return []
        answer: Any = await self._client.delete_objects(
            Bucket=self._bucket, Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True}
        )
        return [error for error in answer.get("Errors", ()) if error.get("Code") not in ABSENT]

    async def _answer(
        self,
        call: Awaitable[T],
        key: str = "",
        *,
        seconds: float = CALL_SECONDS,
        absent: Sequence[str] = ABSENT,
    ) -> T:
        """Return the answer. Raise ObjectNotFound for this key if the code of the error is one of `absent`."""
        try:
            seconds = allowed(seconds)
            async with asyncio.timeout(seconds):
                return await call
        except ClientError as exc:
            if key and _code(exc) in absent:
                raise ObjectNotFound(key) from exc
            raise self._error(exc, exc.response) from exc
        except FAILURES as exc:
            reason = str(exc)[:SHOWN] or f"no answer within {seconds:.3g} s"
            raise self._refusals.error(reason, s3_client_fault(exc)) from exc
        finally:
            if isinstance(call, Coroutine):
                call.close()  # one that was not begun

    def _error(self, reason: object, answer: Mapping[str, Any]) -> BackendUnavailable:
        return self._refusals.error(reason, s3_fault(answer, self._bucket, self._client.meta.endpoint_url))


@asynccontextmanager
async def open_s3_object_store(
    url: str,
    *,
    access_key: SecretStr | None = None,
    secret_key: SecretStr | None = None,
    public_endpoint: str | None = None,
) -> AsyncIterator[S3ObjectStore]:
    """Raise BackendUnavailable when the server does not answer or refuses the credentials."""
    async with open_s3_clients(url, access_key, secret_key, public_endpoint) as (client, presigner):
        store = S3ObjectStore(client, presigner, urlsplit(url).netloc)
        await store.open()
        yield store


def _code(exc: BaseException | None) -> str:
    return s3_code(exc.response) if isinstance(exc, ClientError) else ""
