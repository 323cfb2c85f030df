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
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, NoReturn

import structlog

from services.common.background import background_task
from services.common.errors import BackendRefused, BackendUnavailable, TooManyJobs
from services.common.ports import Lease, Limits, Outcome, Quota, Verdict
from services.common.redis.clock import RedisClock
from services.common.redis.link import Part, RedisLink
from services.common.schemas import JobMessage, Progress, StatusRecord
from services.common.statuses.lane import Lane
from services.common.statuses.reading import readable
from services.common.statuses.redis_rows import (
    ENDED,
    EPOCH,
    JOB_PREFIX,
    LIVE,
    OWNER_PREFIX,
    PROBE,
    index_name,
    key_name,
    load_scripts,
    milliseconds,
    pairs_of,
    read_lane,
    read_record,
    record_of,
)
from services.common.statuses.retention import FIRST_OF_LANE, KEY_SECONDS, PASSED_SECONDS, absent
from services.common.statuses.row import json_list
from services.common.statuses.waiters import Waiters

log = structlog.get_logger(__name__)

CALL_SECONDS: Final = 2.5
LIVE_SECONDS: Final = 30 * 24 * 3600.0
LISTEN_SECONDS: Final = 5.0  # between two checks of the connection
RESTART_SECONDS: Final = 1.0
_PROBED: Final = "-" * 4096  # most records are shorter


class RedisStatusStore:
    """See the port `StatusStore`. A call repeated because its answer was lost gets the same answer."""

    def __init__(self, link: RedisLink, limits: Limits, waiters: Waiters, clock: RedisClock) -> None:
        self._link = link
        self.clock = clock
        self._limits = limits
        self._waiters = waiters
        self._laned_up_to = ""  # ids of live jobs up to this one were given to their lanes
        self._scripts = load_scripts()

    async def create(self, record: StatusRecord, quota: Quota | None = None) -> StatusRecord:
        if record.published and (row := await self._run("confirm", record.job_id)):
            return record_of(row)
        key, owner = record.idempotency_key, record.message.owner
        party = f"studio:party:{quota.party}" if quota else ""
        keys = [index_name(owner), party, *([key_name(owner, key)] if key is not None else [])]
        most, ahead = ("" if quota.most is None else quota.most, quota.ahead) if quota else ("", 0)
        times = JOB_PREFIX, milliseconds(KEY_SECONDS)
        row = await self._run("create", record.job_id, *times, most, ahead, *pairs_of(record), keys=keys)
        if row == b"TOO_MANY" and quota and quota.most:
            raise TooManyJobs(quota.most)
        return record_of(row)

    async def get(self, job_id: str, wait: float = 0) -> StatusRecord:
        return await self._waiters.until_ended(job_id, wait, lambda: self._get(job_id))

    async def list(self, after: str = "", limit: int = 100, *, owner: str | None = None) -> list[StatusRecord]:
        keys = [] if owner is None else [index_name(owner)]
        found: list[StatusRecord] = []
        while len(found) < limit:
            rows, gone, last = await self._run("list", "", JOB_PREFIX, after, limit - len(found), keys=keys)
            found += readable(record_of, rows)
            if gone:
                await self._forget(keys or [LIVE], gone)
            if not last:
                break
            after = last.decode()
        return found

    async def lanes(self, most: int) -> Sequence[Lane]:
        counts = most, FIRST_OF_LANE, PASSED_SECONDS, self._limits.lease_seconds
        found, self._laned_up_to = await self._run("lanes", "", JOB_PREFIX, *counts, self._laned_up_to)
        return [read_lane(*each) for each in found]

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
            *(pairs_of(record) if recreate else ()),
            keys=[index_name(message.owner)],
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
        row = await self._run("request_cancel", job_id)
        return record_of(row) if row else await self._absent(job_id)

    async def remove(self, job_id: str) -> None:
        await self._run("remove", job_id, OWNER_PREFIX)

    async def ping(self) -> None:
        probing = self._run("probe", "", milliseconds(CALL_SECONDS), _PROBED, keys=(f"{PROBE}record", f"{PROBE}index"))
        await asyncio.gather(probing, self.list(limit=1))
        self._link.mended()

    async def open(self) -> None:
        """Ask for the time, and set the epoch on a store that is empty. Raises BackendUnavailable."""
        await self.clock.ask()
        await self._begin_epoch()

    async def _get(self, job_id: str) -> StatusRecord:
        found = await self._link.call("statuses", CALL_SECONDS, "HGETALL", JOB_PREFIX + job_id)
        return read_record(tuple(found.items())) if found else await self._absent(job_id)

    async def _absent(self, job_id: str) -> NoReturn:
        """Raise the error for a job without a record. A server that takes no writes can tell, too."""
        epoch: bytes | None = await self._link.call("statuses", CALL_SECONDS, "GET", EPOCH)
        if epoch is None:  # emptied, and not used since
            await self._begin_epoch()
        raise absent(job_id, None if epoch is None else float(epoch), self._limits.retention_seconds, self.clock())

    async def _begin_epoch(self) -> None:
        """Set the epoch if there is none. A server that takes no writes now gets it from a later call."""
        try:
            await self._run("begin_epoch", "")
        except BackendRefused:
            raise
        except BackendUnavailable as exc:
            log.debug("epoch not set", reason=str(exc))

    async def _forget(self, index: Sequence[str], job_ids: Sequence[bytes]) -> None:
        """Take ids without a record out of this index, where Redis takes writes."""
        with suppress(BackendUnavailable):
            await self._run("forget", "", JOB_PREFIX, *job_ids, keys=index)

    async def _decide(self, script: str, job_id: str, *args: Part, keys: Sequence[str] = ()) -> Verdict:
        answer: bytes = await self._run(script, job_id, *args, keys=keys)
        return Verdict[answer.decode()]

    async def _run(self, script: str, job_id: str, *args: Part, keys: Sequence[str] = ()) -> Any:
        ended = milliseconds(self._limits.retention_seconds)
        live = max(milliseconds(LIVE_SECONDS), 2 * ended)  # the epoch outlives what it is asked about
        names = (JOB_PREFIX + job_id, LIVE, EPOCH, *keys)
        return await self._link.run(
            "statuses", CALL_SECONDS, self._scripts[script], names, (job_id, live, ended, *args)
        )


@asynccontextmanager
async def open_redis_status_store(link: RedisLink, limits: Limits) -> AsyncIterator[RedisStatusStore]:
    """Raise BackendUnavailable when Redis does not answer."""
    waiters = Waiters()
    clock = RedisClock(link)
    store = RedisStatusStore(link, limits, waiters, clock)
    await store.open()
    async with background_task(_listen(link, waiters)), background_task(clock.follow()):
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
