"""The files of finished jobs: a stream, another format, or a URL of the object store's own."""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Final

from services.api.core.renditions import ImageFormat, Renditions
from services.common.ports import ObjectStore
from services.common.schemas import Artifact

PRESIGNED_SECONDS: Final = 300


class Artifacts:
    """Every method raises ObjectNotFound for an artifact that the store has lost, and BackendUnavailable."""

    def __init__(self, objects: ObjectStore, renditions: Renditions) -> None:
        self._objects = objects
        self._renditions = renditions

    async def open(self, artifact: Artifact) -> "ArtifactStream":
        """Return the stored bytes once the first chunk is there, so that a missing object is known before any answer.

        The caller closes the stream.
        """
        chunks = self._objects.get(artifact.key)
        return ArtifactStream(await anext(chunks, b""), chunks)

    async def read(self, artifact: Artifact, wanted: ImageFormat | None) -> bytes:
        """Return the whole file, as it is stored or in the format wanted. Raises also as `Renditions.render`."""
        return await self._renditions.render(self._objects.get(artifact.key), wanted)

    async def url(self, artifact: Artifact, filename: str) -> str | None:
        """Return a URL at which a browser gets the stored file for PRESIGNED_SECONDS; None where the store has none."""
        return await self._objects.url(
            artifact.key, media_type=artifact.media_type, filename=filename, seconds=PRESIGNED_SECONDS
        )


class ArtifactStream:
    """Chunks of one artifact. `aclose` gives the object back at once, not when the garbage collector comes by."""

    def __init__(self, first: bytes, rest: AsyncIterator[bytes]) -> None:
        self._first: bytes | None = first
        self._rest = rest

    def __aiter__(self) -> "ArtifactStream":
        return self

    async def __anext__(self) -> bytes:
        if self._first is not None:
            first, self._first = self._first, None
            return first
        return await anext(self._rest)

    async def aclose(self) -> None:
        if isinstance(self._rest, AsyncGenerator):
            await self._rest.aclose()
