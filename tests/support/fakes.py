"""Small stand-ins: a worker that does as it is told, and backends that do not answer."""

import asyncio
import hashlib
import sqlite3
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from typing import Any, NoReturn
from uuid import uuid4

from PIL import Image

from services.common.backends import Backends
from services.common.brokers import sqlite_queue
from services.common.brokers.sqlite import SQLiteBroker
from services.common.errors import BackendUnavailable
from services.common.manifests import Manifests
from services.common.ports import Lease, Outcome, Settlement, Verdict
from services.common.presence import WORKERS, Pace, Presence
from services.common.preview_cache import preview_key
from services.common.schemas import Artifact, JobError, JobMessage, Progress, State
from services.inference.runtime.outputs import ImageOutput


class FakeWorker:
    """Takes jobs through the protocol over the real ports, without a queue or a model."""

    def __init__(self, backends: Backends) -> None:
        self._backends = backends

    async def begin(self, job_id: str, progress: Progress | None = None) -> Lease:
        """The job runs."""
        record = await self._backends.statuses.get(job_id)
        lease = Lease(job_id, record.message.message_id)
        assert await self._backends.statuses.begin(record.message, lease) is Verdict.HELD
        if progress is not None:
            await self._backends.statuses.progress(lease, progress)
        return lease

    async def show(self, job_id: str, *previews: bytes) -> None:
        """The job runs and shows these of its pictures."""
        for index, data in enumerate(previews):
            await self._backends.cache.put(preview_key(job_id, index), data, 60)
        await self.begin(job_id, Progress(step=1, total=8, previews=1))

    async def succeed(self, job_id: str, *pictures: bytes) -> None:
        """The job succeeded with these files."""
        artifacts = []
        for index, data in enumerate(pictures):
            sha256 = hashlib.sha256(data).hexdigest()
            key = f"jobs/{job_id}/{sha256}.png"
            await self._backends.objects.put(key, data, "image/png")
            fields = {"media_type": "image/png", "bytes": len(data), "width": 64, "height": 32, "seed": index}
            artifacts.append(Artifact.model_validate({"index": index, "key": key, "sha256": sha256, **fields}))
        await self._finish(job_id, Outcome(State.SUCCEEDED, tuple(artifacts)))

    async def announce(self, model: str, phase: str = "ready", paces: Mapping[str, Pace] | None = None) -> None:
        """A worker of this model is there, and has made pictures of these sizes."""
        said = {"worker_id": uuid4().hex, "model": model, "phase": phase, "since": time.time(), "paces": paces or {}}
        presence = Presence.model_validate(said)
        await self._backends.cache.put(f"{WORKERS}/{presence.worker_id}", presence.model_dump_json().encode(), 60)

    async def fail(self, job_id: str, code: str = "out-of-memory") -> None:
        """The job failed with this code."""
        error = JobError(code=code, message="not this time", retryable=False)
        await self._finish(job_id, Outcome(State.FAILED, error=error))

    async def _finish(self, job_id: str, outcome: Outcome) -> None:
        lease = await self.begin(job_id)
        assert await self._backends.statuses.finish(lease, outcome) is Verdict.HELD
        await Manifests(self._backends.objects).write(await self._backends.statuses.get(job_id))


async def bury(backends: Backends, message: JobMessage) -> None:
    """As if a worker had taken this very message from its queue and rejected it. Embedded backends only."""
    assert isinstance(backends.broker, SQLiteBroker)
    await backends.broker.publish(message)
    token = uuid4().hex

    def reject(connection: sqlite3.Connection) -> None:
        connection.execute("UPDATE messages SET token = ? WHERE message_id = ?", (token, message.message_id))
        sqlite_queue.settle(token, Settlement.REJECT, connection)

    await backends.broker._file.write(reject)


def picture(**how: str) -> bytes:
    """A PNG as a worker stores it: left half red, right half blue, and how it was made."""
    image = Image.new("RGB", (64, 32), (200, 30, 30))
    image.paste((30, 30, 200), (32, 0, 64, 32))
    return ImageOutput(image).encode(how).data


class Deaf:
    """A claim whose `progress` swallows the first cancellation, as asyncio.wait_for may; `asked` when it is called."""

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


class Down:
    """Any backend, while it does not answer: every method raises BackendUnavailable."""

    def __init__(self, backend: str) -> None:
        self._backend = backend

    def __getattr__(self, _name: str) -> Any:
        async def unavailable(*_: object, **__: object) -> NoReturn:
            raise BackendUnavailable(self._backend, "secret-host:1234 refused")

        return unavailable


class DownObjects(Down):
    """An object store that does not answer: `get` fails at the first chunk."""

    def __init__(self) -> None:
        super().__init__("objects")

    async def get(self, key: str) -> AsyncGenerator[bytes, None]:
        yield await self.list(key)


def without(backends: Backends, *down: str) -> Backends:
    """The backends with those named down."""
    return Backends(
        broker=Down("broker") if "broker" in down else backends.broker,
        statuses=Down("statuses") if "statuses" in down else backends.statuses,
        objects=DownObjects() if "objects" in down else backends.objects,
        cache=Down("cache") if "cache" in down else backends.cache,
    )
