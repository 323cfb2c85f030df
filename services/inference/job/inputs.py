"""Fetches the files that a job is made from, and checks that they are those which its message names."""

import asyncio
import hashlib
from collections.abc import Mapping
from typing import Final

import stamina
import structlog

from services.common.errors import BackendUnavailable, ObjectNotFound, StorageDenied
from services.common.input_errors import InputMissing, InputUnavailable
from services.common.ports import ObjectStore
from services.common.schemas import InputRef
from services.inference.job.lease import storage_retry

log = structlog.get_logger(__name__)

FETCH_SECONDS: Final = 15.0  # of tries for each: jobs of the same batch wait for them


async def fetch_inputs(objects: ObjectStore, inputs: Mapping[str, InputRef]) -> dict[str, bytes]:
    """Return the content of each file by its parameter.

    Raise InputMissing for one that is gone or another than was sent in, InputUnavailable if the store does not answer.
    """
    return {name: await _fetch(objects, name, ref) for name, ref in inputs.items()}


async def _fetch(objects: ObjectStore, name: str, ref: InputRef) -> bytes:
    try:
        async for attempt in stamina.retry_context(on=storage_retry(), attempts=None, timeout=FETCH_SECONDS):
            with attempt:
                data = b"".join([chunk async for chunk in objects.get(ref.key)])
    except ObjectNotFound as exc:
        raise InputMissing(f"the file of {name!r} was deleted before the job was made: send it in again") from exc
    except (BackendUnavailable, StorageDenied) as exc:
        log.warning("input not fetched", reason=str(exc))
        raise InputUnavailable(f"the object store did not give the file of {name!r}: try again later") from exc
    if (await asyncio.to_thread(hashlib.sha256, data)).hexdigest() != ref.sha256:
        raise InputMissing(f"the file of {name!r} is not the one that was sent in: send it in again")
    return data
