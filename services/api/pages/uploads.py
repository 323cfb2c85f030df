"""A form with files: they are taken in as inputs, and the form names them by their ids from then on."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request

from services.api.auth.caller import caller_of
from services.api.http.state import AppState
from services.api.pages.form_choices import FileField
from services.api.pages.submission import FORM_BYTES, MAX_FIELDS, form_type
from services.common.errors import TooBusy
from services.common.input_errors import InputError

PATH: Final = "/with-files"
MAX_FILES: Final = 8  # of a form: two ways to give each of a few
_CHUNK_BYTES: Final = 256 * 1024


@dataclass(frozen=True)
class UploadForm:
    """The fields of a form by name. A file comes from any field whose name begins with that of its parameter."""

    fields: Mapping[str, str]
    files: Sequence[tuple[str, UploadFile]]

    async def take(
        self, request: Request[AppState], wanted: Sequence[FileField], owner: str
    ) -> tuple[dict[str, str], dict[str, str]]:
        """Take in the files for the fields `wanted`; return their ids, and what is wrong with the others."""
        taken: dict[str, str] = {}
        faults: dict[str, str] = {}
        for field in wanted:
            for name, file in self.files:
                if name.partition("-")[0] == field.name and file.size:
                    try:
                        taken[field.name] = await _taken(request, file, owner)
                    except (InputError, TooBusy) as exc:
                        faults[field.name] = f"{str(exc)[:1].upper()}{str(exc)[1:]}."
        return taken, faults


@asynccontextmanager
async def upload_form(request: Request[AppState]) -> AsyncGenerator[UploadForm, None]:
    """Read the form; its files lie on the disk until the block ends. Raises HTTPException 400 for a broken one."""
    if not form_type(request).startswith("multipart/form-data"):
        raise HTTPException(400, "the form has no files")
    async with request.form(max_files=MAX_FILES, max_fields=MAX_FIELDS, max_part_size=FORM_BYTES) as form:
        items = form.multi_items()
        yield UploadForm(
            {name: value for name, value in items if isinstance(value, str)},
            [(name, value) for name, value in items if isinstance(value, UploadFile)],
        )


async def _taken(request: Request[AppState], file: UploadFile, owner: str) -> str:
    chunks = _chunks(file)
    record = await request.state["inputs"].take(chunks, "", owner=owner, party=caller_of(request).party)
    return record.id


async def _chunks(file: UploadFile) -> AsyncIterator[bytes]:
    while chunk := await file.read(_CHUNK_BYTES):
        yield chunk
