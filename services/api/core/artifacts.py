"""The files of finished jobs: a stream, another format, or a URL of the object store's own."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

from services.api.core.fair_shares import FairShares
from services.api.core.formats.file_format import FileFormat
from services.api.core.renditions import Renditions, whole
from services.common.budget import time_left
from services.common.errors import TooBusy
from services.common.ports import ObjectStore
from services.common.provenance.mark import Mark, SourceType
from services.common.schemas import Artifact

PRESIGNED_SECONDS: Final = 300
# A file that is read slowly holds a connection to the object store, or memory. The store has more connections than
# this, so that all other calls have theirs.
DOWNLOADS: Final = 64
EACH: Final = 16  # of one party: a page of history shows about as many images
TURN_SECONDS: Final = 2.0


class Artifacts:
    """Every method raises ObjectNotFound for an artifact that the store has lost, and BackendUnavailable.

    `party` is the caller as limits count it. Those methods that have it raise TooBusy when its turn does not come.
    """

    def __init__(self, objects: ObjectStore, renditions: Renditions) -> None:
        self._objects = objects
        self._renditions = renditions
        self._downloads = FairShares(DOWNLOADS, EACH)

    async def open(self, artifact: Artifact, party: str, start: int = 0, end: int | None = None) -> "ArtifactStream":
        """Return the stored bytes from `start` to before `end`, or the file's end.

        It returns once the first chunk is there, so that a missing object is known before any answer.

        The caller closes the stream, which counts as one of the party's downloads until then.
        """
        await self._take_turn(party)
        try:
            chunks = self._objects.get(artifact.key, start, end)
            return ArtifactStream(await anext(chunks, b""), chunks, partial(self._downloads.give_back, party))
        except BaseException:
            self._downloads.give_back(party)
            raise

    async def read(self, artifact: Artifact, wanted: FileFormat | None, party: str) -> bytes:
        """Return the whole file, as it is stored or in the format wanted. Raises also as `Renditions.render`.

        The caller has a turn (see `sending`), since it holds the file until its client has it.
        """
        chunks = self._objects.get(artifact.key)
        if wanted is None:
            return await whole(chunks)
        # An artifact of an earlier version does not say what it is: then all models had learned from samples.
        mark = Mark(artifact.source_type or SourceType.TRAINED, derived_from=artifact.sha256)
        return await self._renditions.render(chunks, wanted, mark, party)

    @asynccontextmanager
    async def sending(self, party: str) -> AsyncIterator[None]:
        """Count what the block reads and sends, whole files in memory, as one of the party's downloads."""
        await self._take_turn(party)
        try:
            yield
        finally:
            self._downloads.give_back(party)

    async def url(self, artifact: Artifact, filename: str) -> str | None:
        """Return a URL at which a browser gets the stored file for PRESIGNED_SECONDS; None where the store has none."""
        return await self._objects.url(
            artifact.key, media_type=artifact.media_type, filename=filename, seconds=PRESIGNED_SECONDS
        )

    async def _take_turn(self, party: str) -> None:
        try:
            await self._downloads.take(party, min(TURN_SECONDS, time_left()))
        except TimeoutError as exc:
            raise TooBusy("too many files are being fetched just now: read those you asked for, and try again") from exc


class ArtifactStream:
    """Chunks of one artifact. `aclose` gives the object back at once, not when the garbage collector comes by.

    `on_close` is called once, then.
    """

    def __init__(self, first: bytes, rest: AsyncIterator[bytes], on_close: Callable[[], None]) -> None:
        self._first: bytes | None = first
        self._rest = rest
        self._on_close = on_close
        self._closed = False

    def __aiter__(self) -> "ArtifactStream":
        return self

    async def __anext__(self) -> bytes:
        if self._first is not None:
            first, self._first = self._first, None
            return first
        return await anext(self._rest)

    async def aclose(self) -> None:
        if self._closed:
            return
        self._closed = True
        try:
            if isinstance(self._rest, AsyncGenerator):
                await self._rest.aclose()
        finally:
            self._on_close()
