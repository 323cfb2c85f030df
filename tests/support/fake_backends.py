"""Fake backends: stores that keep everything in memory, count, hang, lack something or do not answer."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, NoReturn

from services.common.backends import Backends
from services.common.brokers.delivery import Delivery
from services.common.budget import allowed
from services.common.errors import BackendUnavailable
from services.common.ports import DeadLetter, ObjectStore, Quota, StatusStore
from services.common.presence import Presence, read_presences
from services.common.schemas import JobMessage, StatusRecord


class InMemoryCache:
    """A cache in memory: `kept` holds the values, `seconds` their time to live; each `put` sets `changed`."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.seconds: dict[str, float] = {}
        self.changed = asyncio.Event()

    async def get(self, key: str) -> bytes | None:
        return self.kept.get(key)

    async def put(self, key: str, value: bytes, seconds: float) -> None:
        self.kept[key] = value
        self.seconds[key] = seconds
        self.changed.set()

    async def list(self, folder: str) -> dict[str, bytes]:
        return {key: value for key, value in self.kept.items() if key.startswith(f"{folder}/")}

    async def delete(self, keys: Sequence[str]) -> None:
        for key in keys:
            self.kept.pop(key, None)

    async def await_phase(self, phase: str) -> Presence:
        """Wait until a worker announces this phase, and return its presence."""
        async with asyncio.timeout(5):
            while not (found := [one for one in read_presences(self.kept.values()) if one.phase == phase]):
                self.changed.clear()
                await self.changed.wait()
        return found[0]


class FakeStatuses:
    """A status store that lists the records in `live`."""

    def __init__(self) -> None:
        self.live: list[StatusRecord] = []

    async def list(self, after: str = "", limit: int = 100) -> list[StatusRecord]:
        return [record for record in self.live if record.job_id > after][:limit]


class FakeBroker:
    """A broker that keeps the published messages. `publish` raises `fault`, or never returns where it `hangs`."""

    def __init__(self) -> None:
        self.published: list[JobMessage] = []
        self.bulk: list[bool] = []
        self.fault: Exception | None = None
        self.hangs = False
        self.ready = 0
        self.asked = 0
        self.depth_fault: Exception | None = None

    async def publish(
        self, message: JobMessage, headers: Mapping[str, str] | None = None, *, bulk: bool = False
    ) -> None:
        if self.hangs:
            await asyncio.sleep(60)
        if self.fault is not None:
            raise self.fault
        self.published.append(message)
        self.bulk.append(bulk)

    def consume(
        self, model: str, prefetch: int, consuming: asyncio.Event | None = None
    ) -> AsyncGenerator[Delivery, None]:
        raise AssertionError("the gateway never consumes")

    async def depth(self, model: str, *, bulk: bool | None = None) -> int:
        self.asked += 1
        if self.depth_fault is not None:
            raise self.depth_fault
        return self.ready

    async def dead_letter_count(self) -> int:
        return 0

    async def dead_letters(self, limit: int = 100) -> list[DeadLetter]:
        return []

    async def replay(self, message_id: str) -> bool:
        return False

    async def drop(self, message_id: str) -> bool:
        return False

    async def ping(self, *, publishing: bool = False) -> None:
        pass


class StatusesWithoutConfirm:
    """A status store that fails to note that a message was published."""

    def __init__(self, statuses: StatusStore) -> None:
        self._statuses = statuses

    async def create(self, record: StatusRecord, quota: Quota | None = None) -> StatusRecord:
        if record.published:
            raise BackendUnavailable("statuses", "away")
        return await self._statuses.create(record, quota)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._statuses, name)


class SlowStatuses:
    """A status store whose every call takes so many seconds, if the budget of the request allows that."""

    def __init__(self, statuses: StatusStore, seconds: float) -> None:
        self._statuses = statuses
        self._seconds = seconds

    def __getattr__(self, name: str) -> Any:
        async def slow(*arguments: Any) -> Any:
            try:
                async with asyncio.timeout(allowed(self._seconds + 1)):
                    await asyncio.sleep(self._seconds)
            except TimeoutError as exc:
                raise BackendUnavailable("statuses", "no answer in time") from exc
            return await getattr(self._statuses, name)(*arguments)

        return slow


class CountingStatuses:
    """A status store that counts its listings; `ahead` is how far the gateway's clock is ahead, in seconds."""

    def __init__(self, statuses: StatusStore, ahead: float = 0.0) -> None:
        self._statuses = statuses
        self._ahead = ahead
        self.listed = 0

    async def list(self, after: str = "", limit: int = 100) -> list[StatusRecord]:
        self.listed += not after
        return await self._statuses.list(after, limit)

    async def get(self, job_id: str) -> StatusRecord:
        record = await self._statuses.get(job_id)
        return record.model_copy(update={"created_at": record.created_at + self._ahead})


class PresigningObjects:
    """An object store that presigns, and reads from a real one."""

    def __init__(self, objects: ObjectStore) -> None:
        self.get = objects.get

    async def url(self, key: str, *, media_type: str, filename: str, seconds: int) -> str:
        assert media_type in ("image/png", "audio/wav")
        assert filename.endswith(("-0.png", "-0.wav"))
        assert seconds <= 300
        return f"https://s3.example/bucket/{key}?signature=x"


class HungBroker:
    """A broker that never answers."""

    async def ping(self, *, publishing: bool = False) -> None:
        await asyncio.Event().wait()


class UnavailableBackend:
    """Any backend that does not answer: every method raises BackendUnavailable."""

    def __init__(self, backend: str) -> None:
        self._backend = backend

    def __getattr__(self, _name: str) -> Any:
        async def unavailable(*_: object, **__: object) -> NoReturn:
            raise BackendUnavailable(self._backend, "secret-host:1234 refused")

        return unavailable


class UnavailableObjects(UnavailableBackend):
    """An object store that does not answer: `get` fails at the first chunk."""

    def __init__(self) -> None:
        super().__init__("objects")

    async def get(self, key: str, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        yield await self.list(key)


def without(backends: Backends, *unavailable: str) -> Backends:
    """Return the backends, of which the named ones do not answer."""
    return Backends(
        broker=UnavailableBackend("broker") if "broker" in unavailable else backends.broker,
        statuses=UnavailableBackend("statuses") if "statuses" in unavailable else backends.statuses,
        objects=UnavailableObjects() if "objects" in unavailable else backends.objects,
        cache=UnavailableBackend("cache") if "cache" in unavailable else backends.cache,
    )
