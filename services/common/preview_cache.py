"""Previews of pictures being made: small JPEG files in the cache, for as long as their job runs."""

from contextlib import suppress

from services.common.cache import Cache
from services.common.errors import BackendUnavailable
from services.common.schemas import StatusRecord
from services.common.workload import count_of


def preview_key(job_id: str, index: int) -> str:
    """Where that of the job's picture `index` is in the cache."""
    return f"previews/{job_id}/{index}"


async def forget_previews(cache: Cache, job: StatusRecord) -> None:
    """Of a job that is removed. What its worker stores after this it takes back when it finds the job gone."""
    if not job.state.terminal:
        with suppress(BackendUnavailable):
            await cache.delete([preview_key(job.job_id, index) for index in range(count_of(job.message.params))])
