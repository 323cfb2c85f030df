"""Finds the inputs that a job names, and keeps them for as long as the job is kept."""

import asyncio
import base64
import binascii
from collections.abc import AsyncIterator
from typing import Final

from services.api.core.inputs.inputs import Inputs, Sees
from services.api.core.inputs.record import InputRecord
from services.common.errors import InvalidRequest
from services.common.input_errors import InputError, InputUnreadable
from services.common.modalities.modality import InputKind, Modality
from services.common.schemas import InputRef, JobMessage

INLINE_BYTES: Final = 1_000_000  # of a file in a data URL
_DATA: Final = "data:"


class JobInputs:
    """The way from the parameters of a job to the files that they name."""

    def __init__(self, inputs: Inputs) -> None:
        self._inputs = inputs

    async def attach(self, message: JobMessage, modality: Modality, sees: Sees, party: str) -> JobMessage:
        """Return the message with its inputs. The job holds them from now on, beyond their own end.

        The file of a data URL is taken in first; the parameter names it by its id from then on.
        Raises InvalidRequest at the parameter for a file that the caller does not see, or that is of another kind;
        TooBusy, BackendUnavailable.
        """
        params, refs = dict(message.params), dict[str, InputRef]()
        for name, kind in modality.inputs.items():
            if name not in params:
                continue
            try:
                record = await self._found(params[name], message, sees, party)
                _check_kind(record, kind, name)
                await self._inputs.store.hold(record, message.job_id)
            except InputError as exc:
                raise InvalidRequest([{"pointer": f"/{name}", "detail": str(exc)}]) from exc
            params[name], refs[name] = record.id, record.ref
        return message.model_copy(update={"params": params, "inputs": refs}) if refs else message

    async def _found(self, given: str, message: JobMessage, sees: Sees, party: str) -> InputRecord:
        if not given.startswith(_DATA):
            return await self._inputs.read(given, sees)
        data = await asyncio.to_thread(_decoded, given)
        return await self._inputs.take(_whole(data), "", owner=message.owner, party=party, inline=True)


def _check_kind(record: InputRecord, kind: InputKind, name: str) -> None:
    if record.media_type.partition("/")[0] != kind.media:
        detail = f"takes a file of the kind {kind.media}, and input {record.id} is {record.media_type}"
        raise InvalidRequest([{"pointer": f"/{name}", "detail": detail, "allowed": f"{kind.media}/*"}])


def _decoded(url: str) -> bytes:
    try:
        data = base64.b64decode(url.partition(",")[2], validate=True)
    except binascii.Error as exc:
        raise InputUnreadable("the data URL is no base64: encode the file again, or send it to /v1/inputs") from exc
    if len(data) > INLINE_BYTES:
        told = f"the data URL has {len(data)} bytes, and {INLINE_BYTES} are the most: send the file to /v1/inputs"
        raise InputUnreadable(told)
    return data


async def _whole(data: bytes) -> AsyncIterator[bytes]:
    yield data
