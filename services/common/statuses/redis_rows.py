"""The names of Redis' keys, the scripts, and records as rows of a hash: what the status store writes and reads."""

from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files
from typing import Final
from urllib.parse import quote

from services.common.brokers.lanes import is_bulk, model_of
from services.common.redis.link import Script
from services.common.schemas import StatusRecord
from services.common.statuses.lane import Lane
from services.common.statuses.reading import readable, reading
from services.common.statuses.retention import MOST_PARSED
from services.common.statuses.row import from_row, to_row

ENDED: Final = "studio:ended"
PROBE: Final = "studio:probe:"
LIVE: Final = "studio:live"
EPOCH: Final = "studio:epoch"
JOB_PREFIX: Final = "studio:job:"
OWNER_PREFIX: Final = "studio:owner:"
_CALLS: Final = ("create", "confirm", "list", "lanes", "begin", "progress", "finish", "request_cancel", "remove")
_UPKEEP: Final = ("begin_epoch", "forget", "probe")


def load_scripts() -> dict[str, Script]:
    """Return the scripts in `lua/` by their names."""
    folder = files("services.common.statuses") / "lua"
    prelude = (folder / "prelude.lua").read_text("utf-8")
    return {name: Script(prelude + (folder / f"{name}.lua").read_text("utf-8")) for name in (*_CALLS, *_UPKEEP)}


def record_of(row: Sequence[bytes]) -> StatusRecord:
    """Return the record in a script's answer, in which names and texts alternate. Raises RecordUnreadable."""
    return read_record(_pairs(row))


@lru_cache(maxsize=MOST_PARSED)
def read_record(row: tuple[tuple[bytes, bytes], ...]) -> StatusRecord:
    """Parse a record. Most reads of a job find the same row, and then get the same object."""
    with reading(dict(row).get(b"job_id", b"unknown").decode(errors="replace")):
        fields = {name.decode(): text.decode() for name, text in row}
        return from_row({name: fields.get(name) for name in StatusRecord.model_fields})


def read_lane(name: bytes, leased: Sequence[bytes], jobs: Sequence[tuple[Sequence[bytes], bytes]]) -> Lane:
    """Return a lane from the answer of `lanes.lua`."""
    rows = {_pairs(row): passed == b"1" for row, passed in jobs}
    records = tuple(readable(read_record, rows))
    passed = {dict(row).get(b"job_id", b"").decode(errors="replace") for row, is_passed in rows.items() if is_passed}
    lane, ids = name.decode(), frozenset(each.decode() for each in leased)
    return Lane(model_of(lane), is_bulk(lane), records, frozenset(passed), ids)


def _pairs(row: Sequence[bytes]) -> tuple[tuple[bytes, bytes], ...]:
    return tuple(zip(row[::2], row[1::2], strict=True))


def pairs_of(record: StatusRecord) -> list[str]:
    """Return names and texts, one after the other, without those that have no value."""
    return [part for name, text in to_row(record).items() if text is not None for part in (name, text)]


def key_name(owner: str | None, key: str) -> str:
    """Return the key of an Idempotency-Key."""
    # Quoted, or owner "a:b" with key "c" would meet owner "a" with key "b:c".
    return f"studio:key:{quote(owner or '', safe='')}:{key}"


def index_name(owner: str | None) -> str:
    """Return the key of an owner's jobs."""
    return OWNER_PREFIX + (owner or "")


def milliseconds(seconds: float) -> int:
    return max(int(seconds * 1000), 1)
