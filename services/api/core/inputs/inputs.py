"""Takes files from clients, shows what is kept of them, and removes them."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

from services.api.core.artifacts import ArtifactStream
from services.api.core.fair_shares import FairShares
from services.api.core.inputs.decoder import WORK_SECONDS, Bounds, decode
from services.api.core.inputs.keys import file_key
from services.api.core.inputs.record import InputRecord
from services.api.core.inputs.store import InputStore
from services.api.core.inputs.upload_folder import upload_folder, write_body
from services.common.budget import extend_budget
from services.common.errors import TooBusy
from services.common.ids import JobIds
from services.common.input_errors import InputNotFound, InputUnreadable

UPLOADS: Final = 16  # that are on their way; with MAX_INPUT_BYTES the bound of the temporary files
DOWNLOADS: Final = 16
EACH: Final = 4  # of one party, of either
DECODERS: Final = 2  # at a time: each may take a processor and much memory
UPLOAD_TURN_SECONDS: Final = 10.0  # an upload takes a while in any case
DOWNLOAD_TURN_SECONDS: Final = 2.0

Sees = Callable[[str | None], bool]


class Inputs:
    """`clock` in Unix seconds makes the ids. Every method raises BackendUnavailable."""

    def __init__(self, store: InputStore, bounds: Bounds, clock: Callable[[], float] = time.time) -> None:
        self.store = store
        self._bounds = bounds
        self._ids = JobIds(clock)
        self._uploads = FairShares(UPLOADS, EACH)
        self._downloads = FairShares(DOWNLOADS, EACH)
        self._decoders = FairShares(DECODERS)
        self._threads = ThreadPoolExecutor(DECODERS, "decoders")

    async def take(
        self,
        body: AsyncIterator[bytes],
        content_type: str,
        *,
        owner: str | None,
        party: str,
        inline: bool = False,
    ) -> InputRecord:
        """Store the file in the body under its owner: the body itself, or the field `file` of a form.

        Raises InputError, InvalidRequest for a broken form, TooBusy, and as `body` does.
        """
        async with _turn(self._uploads, party, UPLOAD_TURN_SECONDS), upload_folder() as folder:
            path = folder / "body"
            if not await write_body(body, path):
                raise InputUnreadable("the body is empty: send the file in it")
            began = time.monotonic()
            # Held until the file is stored, since it is in memory then.
            async with _turn(self._decoders, party, WORK_SECONDS):
                facts = await decode(path, content_type, self._bounds, self._threads)
                data = await asyncio.to_thread((folder / facts["file"]).read_bytes)
                extend_budget(time.monotonic() - began)
                input_id = self._ids.new()
                key = file_key(owner, input_id, facts["extension"])
                record = InputRecord(**{**facts, "id": input_id, "owner": owner, "key": key, "inline": inline})
                await self.store.put(record, data)
        return record

    async def read(self, input_id: str, sees: Sees) -> InputRecord:
        """Return the input if its owner is one that the caller `sees`. Raises InputNotFound."""
        record = await self.store.read(input_id)
        if not sees(record.owner):
            raise InputNotFound(input_id)
        return record

    async def open(self, record: InputRecord, party: str, start: int = 0, end: int | None = None) -> ArtifactStream:
        """Return data[start:end] of the stored file, which the caller closes. Raises ObjectNotFound, TooBusy."""
        await _take(self._downloads, party, DOWNLOAD_TURN_SECONDS)
        try:
            chunks = self.store.file(record, start, end)
            return ArtifactStream(await anext(chunks, b""), chunks, partial(self._downloads.give_back, party))
        except BaseException:
            self._downloads.give_back(party)
            raise

    async def remove(self, record: InputRecord) -> None:
        """Delete the input for good. Repeatable."""
        await self.store.delete(record.id, [record.key])


async def _take(shares: FairShares, party: str, seconds: float) -> None:
    began = time.monotonic()
    try:
        await shares.take(party, seconds)
    except TimeoutError as exc:
        raise TooBusy("too many files are being sent or taken just now: try again in a moment") from exc
    extend_budget(time.monotonic() - began)


@asynccontextmanager
async def _turn(shares: FairShares, party: str, seconds: float) -> AsyncGenerator[None, None]:
    await _take(shares, party, seconds)
    try:
        yield
    finally:
        shares.give_back(party)
