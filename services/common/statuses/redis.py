"""The distributed status store: Redis, one hash per job, every transition one server-side script.

The scripts are in `lua/`. Everything has a time to live: what is here is a fast record of truths kept elsewhere.
Keys: `studio:job:<id>`, `studio:key:<owner>:<key>`, `studio:live` (ids of live jobs), `studio:owner:<owner>` (ids of
an owner's jobs), `studio:party:<party>` (ids of its live ones), `studio:epoch`; `studio:lanes` and, of each lane,
`studio:waiting:<lane>`, `studio:leased:<lane>` (ids of its live jobs) and `studio:begun:<lane>` (when the message of
the last job begun was published). The scripts make up names of keys, so this is for a single Redis or a replicated
one, not for a Redis Cluster.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final, NoReturn
from urllib.parse import quote

from services.common.background import background_task
from services.common.brokers.lanes import is_bulk, model_of
from services.common.errors import BackendUnavailable, TooManyJobs
from services.common.ports import Lane, Lease, Limits, Outcome, Quota, Verdict
from services.common.redis import Part, RedisLink, Script
from services.common.schemas import JobMessage, Progress, StatusRecord
from services.common.statuses.reading import readable, reading
from services.common.statuses.retention import FIRST_OF_LANE, KEY_SECONDS, MOST_PARSED, PASSED_SECONDS, absent
from services.common.statuses.row import from_row, json_list, to_row
from services.common.statuses.waiters import Waiters

CALL_SECONDS: Final = 2.5
LIVE_SECONDS: Final = 30 * 24 * 3600.0
LISTEN_SECONDS: Final = 5.0  # between two checks of the connection
RESTART_SECONDS: Final = 1.0
ENDED: Final = "studio:ended"
PROBE: Final = "studio:probe"
JOB_PREFIX: Final = "studio:job:"
OWNER_PREFIX: Final = "studio:owner:"
SCRIPTS: Final = "create confirm get list lanes begin progress finish request_cancel remove"
_WRITE: Final = Script("redis.call('SET', KEYS[1], '', 'PX', ARGV[1])")


class RedisStatusStore:
    """See the port `StatusStore`. A call repeated because its answer was lost gets the same answer."""

    def __init__(self, link: RedisLink, limits: Limits, waiters: Waiters) -> None:
        self._link = link
        self._limits = limits
        self._waiters = waiters
        folder = files("services.common.statuses") / "lua"
        prelude = (folder / "prelude.lua").read_text("utf-8")
        self._laned_up_to = ""  # ids of live jobs up to this one were given to their lanes
        self._scripts = {
            name: Script(prelude + (folder / f"{name}.lua").read_text("utf-8")) for name in SCRIPTS.split()
        }

    async def create(self, record: StatusRecord, quota: Quota | None = None) -> StatusRecord:
        if record.published and (row := await self._run("confirm", record.job_id)):
            return _record(row)
        key, owner = record.idempotency_key, record.message.owner
        party = f"studio:party:{quota.party}" if quota else ""
        keys = [_index_name(owner), party, *([_key_name(owner, key)] if key is not None else [])]
        most, ahead = ("" if quota.most is None else quota.most, quota.ahead) if quota else ("", 0)
        times = JOB_PREFIX, _milliseconds(KEY_SECONDS)
        row = await self._run("create", record.job_id, *times, most, ahead, *_pairs(record), keys=keys)
        if row == b"TOO_MANY" and quota and quota.most:
            raise TooManyJobs(quota.most)
        return _record(row)

    async def get(self, job_id: str, wait: float = 0) -> StatusRecord:
        return await self._waiters.until_ended(job_id, wait, lambda: self._get(job_id))

    async def list(self, after: str = "", limit: int = 100, *, owner: str | None = None) -> list[StatusRecord]:
        keys = [] if owner is None else [_index_name(owner)]
        found: list[StatusRecord] = []
        while len(found) < limit:
            wanted = limit - len(found)
            rows = await self._run("list", "", JOB_PREFIX, after, wanted, keys=keys)
            found += readable(_record, [record for _, record in rows])
            if len(rows) < wanted:
                break
            after = rows[-1][0].decode()
        return found

    async def lanes(self, most: int) -> Sequence[Lane]:
        counts = most, FIRST_OF_LANE, PASSED_SECONDS
        found, self._laned_up_to = await self._run("lanes", "", JOB_PREFIX, *counts, self._laned_up_to)
        return [_lane(*each) for each in found]

    async def begin(self, message: JobMessage, lease: Lease, *, recreate: bool = False) -> Verdict:
        record = StatusRecord(job_id=message.job_id, message=message, created_at=message.created_at)
        return await self._decide(
            "begin",
            message.job_id,
            lease.token,
            lease.message_id,
            *((lease.silent.token, lease.silent.expires_at) if lease.silent else ("", "")),
            message.expires_at,
            self._limits.lease_seconds,
            self._limits.max_attempts,
            JOB_PREFIX,
            *(_pairs(record) if recreate else ()),
            keys=[_index_name(message.owner)],
        )

    async def progress(self, lease: Lease, progress: Progress) -> Verdict:
        made = progress.model_dump_json()
        return await self._decide("progress", lease.job_id, lease.token, made, self._limits.lease_seconds)

    async def finish(self, lease: Lease, outcome: Outcome) -> Verdict:
        job_id = lease.job_id
        artifacts, warnings = (json_list(each) for each in (outcome.artifacts, outcome.warnings))
        error = outcome.error.model_dump_json() if outcome.error else ""
        return await self._decide(
            "finish",
            job_id,
            lease.token,
            outcome.state.value,
            artifacts,
            error,
            int(outcome.release_key),
            warnings,
        )

    async def request_cancel(self, job_id: str) -> StatusRecord:
        return self._known(job_id, await self._run("request_cancel", job_id))

    async def remove(self, job_id: str) -> None:
        await self._run("remove", job_id, OWNER_PREFIX)

    async def ping(self) -> None:
        writing = self._link.run("statuses", CALL_SECONDS, _WRITE, (PROBE,), (_milliseconds(CALL_SECONDS),))
        await asyncio.gather(writing, self.list(limit=1))
        self._link.mended()

    async def open(self) -> None:
        """Set the epoch on a store that is empty."""
        await self._run("get", "")

    async def _get(self, job_id: str) -> StatusRecord:
        found = await self._link.call("statuses", CALL_SECONDS, "HGETALL", JOB_PREFIX + job_id)
        if found:  # else the epoch of the store is needed, too
            return _read(tuple(found.items()))
        return self._known(job_id, await self._run("get", job_id))

    def _known(self, job_id: str, answer: Sequence[Any]) -> StatusRecord:
        row, epoch = answer
        if row:
            return _record(row)
        raise absent(job_id, float(epoch), self._limits.retention_seconds)

    async def _decide(self, script: str, job_id: str, *args: Part, keys: Sequence[str] = ()) -> Verdict:
        answer: bytes = await self._run(script, job_id, *args, keys=keys)
        return Verdict[answer.decode()]

    async def _run(self, script: str, job_id: str, *args: Part, keys: Sequence[str] = ()) -> Any:
        ended = _milliseconds(self._limits.retention_seconds)
        live = max(_milliseconds(LIVE_SECONDS), 2 * ended)  # the epoch outlives what it is asked about
        names = (JOB_PREFIX + job_id, "studio:live", "studio:epoch", *keys)
        return await self._link.run(
            "statuses", CALL_SECONDS, self._scripts[script], names, (job_id, live, ended, *args)
        )


def _lane(name: bytes, leased: Sequence[bytes], jobs: Sequence[tuple[Sequence[bytes], bytes]]) -> Lane:
    rows = {_pairs_of(row): passed == b"1" for row, passed in jobs}
    records = tuple(readable(_read, rows))
    passed = {dict(row)[b"job_id"].decode() for row, is_passed in rows.items() if is_passed}
    lane, ids = name.decode(), frozenset(each.decode() for each in leased)
    return Lane(model_of(lane), is_bulk(lane), records, frozenset(passed), ids)


def _record(row: Sequence[bytes]) -> StatusRecord:
    return _read(_pairs_of(row))


def _pairs_of(row: Sequence[bytes]) -> tuple[tuple[bytes, bytes], ...]:
    """Return the pairs of a script's answer, in which names and texts alternate."""
    return tuple(zip(row[::2], row[1::2], strict=True))


@lru_cache(maxsize=MOST_PARSED)
def _read(row: tuple[tuple[bytes, bytes], ...]) -> StatusRecord:
    """Parse a record. Most reads of a job find the same row, and then get the same object."""
    with reading(dict(row).get(b"job_id", b"unknown").decode(errors="replace")):
        fields = {name.decode(): text.decode() for name, text in row}
        return from_row({name: fields.get(name) for name in StatusRecord.model_fields})


def _pairs(record: StatusRecord) -> list[str]:
    return [part for name, text in to_row(record).items() if text is not None for part in (name, text)]


def _key_name(owner: str | None, key: str) -> str:
    # Quoted, or owner "a:b" with key "c" would meet owner "a" with key "b:c".
    return f"studio:key:{quote(owner or '', safe='')}:{key}"


def _index_name(owner: str | None) -> str:
    return OWNER_PREFIX + (owner or "")


def _milliseconds(seconds: float) -> int:
    return max(int(seconds * 1000), 1)


@asynccontextmanager
async def open_redis_status_store(link: RedisLink, limits: Limits) -> AsyncIterator[RedisStatusStore]:
    """Raise BackendUnavailable when Redis does not answer."""
    waiters = Waiters()
    store = RedisStatusStore(link, limits, waiters)
    await store.open()
    async with background_task(_listen(link, waiters)):
        yield store


async def _listen(link: RedisLink, waiters: Waiters) -> NoReturn:
    """Tell waiting callers which jobs ended, as the scripts publish it; reconnect after a failure."""
    while True:
        await waiters.anyone()
        try:
            async with link.client.pubsub(ignore_subscribe_messages=True) as channel:
                async with link.answering("statuses", CALL_SECONDS):
                    await channel.subscribe(ENDED)
                waiters.look_again()
                renewals = link.renewals
                while link.renewals == renewals:  # else it is subscribed to a server that was left
                    async with link.answering("statuses", 2 * LISTEN_SECONDS):
                        message = await channel.get_message(timeout=LISTEN_SECONDS)
                    if message is not None:
                        waiters.ended(message["data"].decode())
        except BackendUnavailable:
            await asyncio.sleep(RESTART_SECONDS)  # callers look by themselves meanwhile
