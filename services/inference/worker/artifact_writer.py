"""Writes the artifacts of a job under keys made of their content, so that writing twice changes nothing."""

import asyncio
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

import stamina
import structlog

from services.common.errors import BackendUnavailable, GenerationError, StorageDenied
from services.common.ports import Outcome
from services.common.provenance.digests import digest_key
from services.common.provenance.mark import Mark
from services.common.provenance.stored_files import marked
from services.common.schemas import Artifact, State
from services.inference.job.items import metadata_of
from services.inference.job.lease import storage_retry
from services.inference.job.losses import FILTERED, losses_of
from services.inference.job.outcomes import DENIED, FAILED, UNSTORED, failed
from services.inference.runtime.adapter import Item
from services.inference.runtime.outputs import Encoded, FilteredOutput, NothingMade, Output
from services.inference.worker.worker_runtime import WorkerRuntime

log = structlog.get_logger(__name__)

STORAGE_SECONDS = 60.0  # of tries to store bytes that are in memory already

_ENDS: Final = ((GenerationError, FAILED), (StorageDenied, DENIED), (BackendUnavailable, UNSTORED))


class ArtifactWriter:
    def __init__(self, runtime: WorkerRuntime) -> None:
        self._runtime = runtime

    async def write(self, items: Sequence[Item], outputs: Sequence[Output]) -> Outcome:
        """Store the outputs and return how the job ends. If one cannot be stored, the others are given up.

        The job succeeds with the outputs that are not filtered, and fails without one.
        """
        pairs = zip(items, outputs, strict=True)
        kept = [(item, output) for item, output in pairs if not isinstance(output, FilteredOutput)]
        if not kept:
            return FILTERED
        try:
            async with asyncio.TaskGroup() as group:
                saving = [group.create_task(self._save(item, output)) for item, output in kept]
        except ExceptionGroup as failures:
            if nothing := failures.subgroup(NothingMade):
                return failed(NothingMade.code, str(nothing.exceptions[0]), retryable=NothingMade.retryable)
            for kind, outcome in _ENDS:
                if found := failures.subgroup(kind):
                    log.exception("result not stored", exc_info=found.exceptions[0])
                    return outcome
            raise
        artifacts = tuple(task.result() for task in saving)
        return Outcome(
            State.SUCCEEDED, artifacts, warnings=tuple(losses_of(items, artifacts, self._runtime.model.contract))
        )

    async def _save(self, item: Item, output: Output) -> Artifact:
        with self._stage("encode"):
            encoded = await self._encode(item, output)
        digest = hashlib.sha256(encoded.data).hexdigest()
        key = f"jobs/{item.job_id}/{digest}.{encoded.extension}"
        async for attempt in stamina.retry_context(on=storage_retry(), attempts=None, timeout=STORAGE_SECONDS):
            with attempt, self._stage("upload"):
                await self._put(key, encoded, digest_key(digest, item.job_id))
        return Artifact(
            index=item.index,
            key=key,
            media_type=encoded.media_type,
            bytes=len(encoded.data),
            sha256=digest,
            width=encoded.width,
            height=encoded.height,
            duration_seconds=encoded.duration_seconds,
            characters=encoded.characters,
            source_type=self._source_type,
            seed=item.seed,
        )

    async def _encode(self, item: Item, output: Output) -> Encoded:
        """Encode an output. Raise NothingMade for an empty one, and GenerationError if it cannot be encoded."""
        try:
            return await asyncio.to_thread(self._marked, output, metadata_of(item, self._runtime.model))
        except NothingMade:
            raise
        except Exception as exc:
            reason = "the model's output is nothing that can be encoded: ask the operator, whose log has the reason"
            raise GenerationError(reason) from exc

    def _marked(self, output: Output, metadata: dict[str, str]) -> Encoded:
        encoded = output.encode(metadata)
        return replace(encoded, data=marked(encoded.data, encoded.media_type, Mark(self._source_type)))

    async def _put(self, key: str, encoded: Encoded, entry: str) -> None:
        """Store the file, and beside it that this job has it."""
        objects = self._runtime.backends.objects
        await asyncio.gather(objects.put(key, encoded.data, encoded.media_type), objects.put(entry, b"", "text/plain"))

    @property
    def _source_type(self) -> str:
        return self._runtime.served.adapter.source_type

    @contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        with self._runtime.tracer.span(name), self._runtime.metrics.stage(name):
            yield
