"""Which jobs have a file with this content: `digests/<sha256>/<job id>`, empty objects beside the artifacts.

The files themselves name no job: the same seed could not make the same file then, and a published one would give its
job away. An entry is no truth. The job's record is, which lists the artifact or is gone.
"""

from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Final

from services.common.ids import is_job_id
from services.common.ports import ObjectStore

_FOLDER: Final = "digests"
MOST_JOBS: Final = 16  # of one content, the newest: a seed that is repeated makes several


def digest_key(sha256: str, job_id: str) -> str:
    """Return the key of the entry."""
    return f"{_FOLDER}/{sha256}/{job_id}"


def digest_keys(artifact_keys: Iterable[str], job_id: str) -> list[str]:
    """Return the keys of the entries of a job with these objects, of which the artifacts are named by their digest."""
    stems = (PurePosixPath(key).stem for key in artifact_keys)
    return sorted({digest_key(stem, job_id) for stem in stems if len(stem) == 64})


async def jobs_with(objects: ObjectStore, sha256: str) -> list[str]:
    """Return the ids of jobs that may have the file, the newest first. Raises BackendUnavailable."""
    names = [key.rpartition("/")[2] for key in await objects.list(f"{_FOLDER}/{sha256}/")]
    return sorted(filter(is_job_id, names), reverse=True)[:MOST_JOBS]
