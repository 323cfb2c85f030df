"""Finds the job that a file is from, by its digest or by that of the stored file it says to be made from."""

from collections.abc import Callable
from dataclasses import dataclass

from services.api.core.gateway import Gateway
from services.common.errors import JobNotFound, JobRemoved, RecordUnreadable
from services.common.ports import ObjectStore
from services.common.provenance.digests import jobs_with
from services.common.provenance.mark import Mark
from services.common.schemas import Artifact, StatusRecord

Owns = Callable[[str | None], bool]


@dataclass(frozen=True)
class Origin:
    """An artifact, and its job. The file is the artifact itself if `unchanged`, else it says to be made from it."""

    record: StatusRecord
    artifact: Artifact
    unchanged: bool


class Provenance:
    """Looks files up. Every method raises BackendUnavailable."""

    def __init__(self, gateway: Gateway, objects: ObjectStore) -> None:
        self._gateway = gateway
        self._objects = objects

    async def origin(self, sha256: str, mark: Mark | None, owns: Owns) -> Origin | None:
        """Return where the file is from, in a job of the owner that `owns` tells if there is one; None if not known.

        `sha256` is the digest of the file, `mark` the one in it.
        """
        if found := await self._artifact(sha256, owns):
            return Origin(*found, unchanged=True)
        if mark and mark.derived_from and (found := await self._artifact(mark.derived_from, owns)):
            return Origin(*found, unchanged=False)
        return None

    async def _artifact(self, sha256: str, owns: Owns) -> tuple[StatusRecord, Artifact] | None:
        others: tuple[StatusRecord, Artifact] | None = None
        for job_id in await jobs_with(self._objects, sha256):
            try:
                record = await self._gateway.read(job_id)
            except (JobNotFound, JobRemoved, RecordUnreadable):
                continue  # an entry is left behind, or the job cannot tell
            artifact = next((each for each in record.artifacts if each.sha256 == sha256), None)
            if artifact and owns(record.message.owner):
                return record, artifact
            if artifact:
                others = others or (record, artifact)
        return others
