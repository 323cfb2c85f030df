"""Previews of images that a job makes: small JPEG files in the cache, kept while the job runs."""

from contextlib import suppress

from services.common.cache import Cache
from services.common.errors import BackendUnavailable
from services.common.modalities.registry import count_of
from services.common.schemas import StatusRecord


def preview_key(job_id: str, index: int) -> str:
    """Return the cache key of the preview of the job's image `index`."""
    return f"previews/{job_id}/{index}"


async def forget_previews(cache: Cache, job: StatusRecord) -> None:
    """Delete the previews of a removed job. The worker deletes those it stores later, once it finds the job gone."""
    if not job.state.terminal:
        with suppress(BackendUnavailable):
            await cache.delete([preview_key(job.job_id, index) for index in range(count_of(job.message))])
