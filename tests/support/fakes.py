"""Fakes of a worker, a lease, a clock and an HTTP server. Fake backends are in `fake_backends`."""

import asyncio
import hashlib
import sqlite3
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import NoReturn
from uuid import uuid4

from PIL import Image

from services.common.backends import Backends
from services.common.background import background_task
from services.common.brokers import sqlite_queue
from services.common.brokers.delivery import Settlement
from services.common.brokers.sqlite import SQLiteBroker
from services.common.manifests import Manifests
from services.common.ports import Lease, Outcome, Renewal, Verdict
from services.common.presence import WORKERS, Pace, Presence
from services.common.preview_cache import preview_key
from services.common.provenance.digests import digest_key
from services.common.schemas import Artifact, JobError, JobMessage, JobWarning, Progress, State
from services.inference.runtime.outputs import ImageOutput

_EXTENSIONS = {
    "image/png": "png",
    "audio/wav": "wav",
    "video/mp4": "mp4",
    "video/webm": "webm",
    "application/json": "json",
    "text/plain": "txt",
    "x/y": "y",
}


class FakeWorker:
    """A worker without a queue or a model: it takes jobs through the protocol over the real ports."""

    def __init__(self, backends: Backends) -> None:
        self._backends = backends

    async def begin(self, job_id: str, progress: Progress | None = None) -> Lease:
        """Begin the job and return its lease."""
        record = await self._backends.statuses.get(job_id)
        lease = Lease(job_id, record.message.message_id, silent=Renewal.of(record))
        assert await self._backends.statuses.begin(record.message, lease) is Verdict.HELD
        if progress is not None:
            await self._backends.statuses.progress(lease, progress)
        return lease

    async def show(self, job_id: str, *previews: bytes) -> None:
        """Begin the job and store these previews, one an image."""
        for index, data in enumerate(previews):
            await self._backends.cache.put(preview_key(job_id, index), data, 60)
        await self.begin(job_id, Progress(step=1, total=8, previews=1))

    async def succeed(
        self,
        job_id: str,
        *files: bytes,
        warnings: Sequence[JobWarning] = (),
        media_type: str = "image/png",
        source_type: str | None = None,
    ) -> None:
        """Store these files, images unless `media_type` says so, and finish the job with them and these warnings.

        Artifacts without a `source_type` are those of a version that marked nothing.
        """
        artifacts = []
        for index, data in enumerate(files):
            sha256 = hashlib.sha256(data).hexdigest()
            key = f"jobs/{job_id}/{sha256}.{_EXTENSIONS[media_type]}"
            await self._backends.objects.put(key, data, media_type)
            await self._backends.objects.put(digest_key(sha256, job_id), b"", "text/plain")
            fields = {"media_type": media_type, "bytes": len(data), "seed": index, "source_type": source_type}
            fields |= {"width": 64, "height": 32} if media_type == "image/png" else {}
            artifacts.append(Artifact.model_validate({"index": index, "key": key, "sha256": sha256, **fields}))
        await self._finish(job_id, Outcome(State.SUCCEEDED, tuple(artifacts), warnings=tuple(warnings)))

    async def announce(
        self, model: str, phase: str = "ready", paces: Mapping[str, Pace] | None = None, **further: object
    ) -> None:
        """Announce a worker of this model in this phase; `paces` are its measured seconds, by size of image."""
        said = {"worker_id": uuid4().hex, "model": model, "phase": phase, "since": time.time(), "paces": paces or {}}
        presence = Presence.model_validate({**said, **further})
        await self._backends.cache.put(
            f"{WORKERS}/{presence.worker_id}-{model}", presence.model_dump_json().encode(), 60
        )

    async def fail(self, job_id: str, code: str = "out-of-memory") -> None:
        """Finish the job as failed with this code."""
        error = JobError(code=code, message="not this time", retryable=False)
        await self._finish(job_id, Outcome(State.FAILED, error=error))

    @asynccontextmanager
    async def finishing(self, *images: bytes) -> AsyncIterator[None]:
        """Finish every queued job with these images while the block runs."""
        async with background_task(self._finish_all(images)):
            yield

    async def _finish_all(self, images: Sequence[bytes]) -> NoReturn:
        while True:
            for record in await self._backends.statuses.list():
                if record.state is State.QUEUED:
                    await self.succeed(record.job_id, *images)
            await asyncio.sleep(0.01)

    async def _finish(self, job_id: str, outcome: Outcome) -> None:
        lease = await self.begin(job_id)
        assert await self._backends.statuses.finish(lease, outcome) is Verdict.HELD
        await Manifests(self._backends.objects).write(await self._backends.statuses.get(job_id))


async def dead_letter(backends: Backends, message: JobMessage) -> None:
    """Make the message a dead letter, as if a worker had rejected it. Embedded backends only."""
    assert isinstance(backends.broker, SQLiteBroker)
    await backends.broker.publish(message)
    token = uuid4().hex

    def reject(connection: sqlite3.Connection) -> None:
        connection.execute("UPDATE messages SET token = ? WHERE message_id = ?", (token, message.message_id))
        sqlite_queue.settle(token, Settlement.REJECT, connection)

    await backends.broker._file.write(reject)


def stored_image(**metadata: str) -> bytes:
    """Return a PNG as a worker stores it: left half red, right half blue, with this metadata inside."""
    image = Image.new("RGB", (64, 32), (200, 30, 30))
    image.paste((30, 30, 200), (32, 0, 64, 32))
    return ImageOutput(image).encode(metadata).data


class UncancellableLease:
    """A job lease whose first `progress` swallows its cancellation, as asyncio.wait_for may; `asked` is set by it."""

    removed = False

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def progress(self, _progress: Progress) -> Verdict:
        if self.asked.is_set():
            return Verdict.HELD
        self.asked.set()
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(3600)
        return Verdict.HELD


class Clock:
    """A clock that shows the `seconds` a test has set."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


class CannedServer:
    """A server with one canned answer a connection, the last one repeated; an empty one closes it. Keeps `requests`."""

    def __init__(self, answers: Sequence[bytes]) -> None:
        self._answers = list(answers)
        self.requests: list[str] = []

    @asynccontextmanager
    async def serving(self, port: int = 0) -> AsyncIterator[str]:
        """Serve while the block runs, at this URL; port 0 takes any free port."""
        async with await asyncio.start_server(self._answer, "127.0.0.1", port) as server:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.requests.append((await reader.readuntil(b"\r\n\r\n")).decode())
        await self._send(self._answers, writer)

    async def _send(self, answers: list[bytes], writer: asyncio.StreamWriter) -> None:
        writer.write(answers.pop(0) if len(answers) > 1 else answers[0])
        await writer.drain()
        writer.close()


def canned(body: bytes, status: str = "200 OK", media_type: str = "application/json", *headers: str) -> bytes:
    """Return a response after which the server closes the connection."""
    head = "\r\n".join([f"HTTP/1.1 {status}", f"Content-Type: {media_type}", "Connection: close", *headers])
    return f"{head}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


PROOF = canned(b'{"service": "studio-gateway", "status": "live"}')


class CannedGateway(CannedServer):
    """A canned server that answers /livez as a gateway does, or with the given `proofs`. Keeps these `probes` apart."""

    def __init__(self, answers: Sequence[bytes], proofs: Sequence[bytes] = (PROOF,)) -> None:
        super().__init__(answers)
        self._proofs = list(proofs)
        self.probes: list[str] = []

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = (await reader.readuntil(b"\r\n\r\n")).decode()
        asked = request.startswith("GET /livez ")
        (self.probes if asked else self.requests).append(request)
        await self._send(self._proofs if asked else self._answers, writer)
