"""/v1/audio/transcriptions, as OpenAI's clients call it: a recording comes in a form, and its words go out.

See https://platform.openai.com/docs/api-reference/audio/createTranscription.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from functools import partial
from typing import Any, Final

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import Response

from services.api.auth.caller import caller_of
from services.api.auth.refusal import RequestRefused
from services.api.core.formats.file_format import FORMATS, wanted_format
from services.api.http.endpoint import Answer, Endpoint, Upload
from services.api.http.requests.sent_file import TAKING_PROBLEMS, check_encoding
from services.api.http.state import AppState
from services.api.http.submit_limits import SUBMIT_HEADERS
from services.api.openai.errors import KINDS
from services.api.openai.flow import JOB_ANSWERS, JOB_PROBLEMS, Headers, Wish, answer_with_job
from services.api.openai.models import TRANSCRIPTS
from services.api.openai.transcriptions_request import NAMES, TranscriptionRequest, transcription_fields
from services.api.openai.views import TranscriptionResponse
from services.common.errors import InvalidRequest
from services.common.schemas import StatusRecord

PATH: Final = "/v1/audio/transcriptions"
MAX_FIELDS: Final = 32
FIELD_BYTES: Final = 4096
_CHUNK_BYTES: Final = 256 * 1024
_PLAIN: Final = {"text": "txt", "srt": "srt", "vtt": "vtt"}  # OpenAI's names of formats, and ours


def transcription_endpoints() -> list[Endpoint]:
    return [
        Endpoint(
            "POST",
            PATH,
            transcribe,
            "Have a recording written down as OpenAI's clients do",
            "OpenAI",
            {
                200: Answer(
                    "The text.",
                    TranscriptionResponse,
                    ["X-Job-Id"],
                    SUBMIT_HEADERS,
                    files=[FORMATS[name].media_type for name in _PLAIN.values()],
                ),
                **JOB_ANSWERS,
            },
            [*JOB_PROBLEMS, *TAKING_PROBLEMS, "bad-request"],
            headers=["Idempotency-Key"],
            upload=Upload("file", fields=transcription_fields, example="speech.wav"),
            kinds=KINDS,
        )
    ]


async def transcribe(request: Request[AppState]) -> Response:
    """Answer 200 with the text once the job is over, or 504 with its id when the job takes longer than the wait.

    The recording is kept as an input of the job. A client that hangs up cancels its job, unless it sent an
    Idempotency-Key or another client looks at the job. A request that OpenAI's client sends again, after a timeout or
    a lost connection, is answered from the same job. The job in the header X-Job-Id has warnings, such as that no
    speech was heard.
    """
    return await answer_with_job(request, NAMES, partial(_understood, request))


async def _understood(request: Request[AppState]) -> Wish:
    check_encoding(request)
    if not request.headers.get("Content-Type", "").startswith("multipart/form-data"):
        detail = "send the recording in the field `file` of a form, as multipart/form-data"
        raise RequestRefused("unsupported-media-type", detail)
    async with request.form(max_files=1, max_fields=MAX_FIELDS, max_part_size=FIELD_BYTES) as form:
        items = form.multi_items()
        asked = TranscriptionRequest.of_form([(name, value) for name, value in items if isinstance(value, str)])
        model = TRANSCRIPTS.asked_for(asked.model, request.state["gateway"].model(None), request.state["catalogue"])
        file = next((value for name, value in items if name == "file" and isinstance(value, UploadFile)), None)
        if file is None:
            raise InvalidRequest([{"pointer": "/file", "detail": "is needed: send the recording in this field"}])
        caller = caller_of(request)
        record = await request.state["inputs"].take(_chunks(file), "", owner=caller.owner, party=caller.party)
    said = {**asked.model_dump(mode="json"), "file": record.sha256}
    job = asked.job(model, record.id)
    return Wish(job, said, partial(_written, request, asked), {**asked.job(model, ""), "file": record.sha256})


async def _chunks(file: UploadFile) -> AsyncIterator[bytes]:
    while chunk := await file.read(_CHUNK_BYTES):
        yield chunk


async def _written(
    request: Request[AppState], asked: TranscriptionRequest, record: StatusRecord, headers: Headers
) -> Response:
    artifact, party, artifacts = record.artifacts[0], caller_of(request).party, request.state["artifacts"]
    plain = _PLAIN.get(asked.response_format)
    async with artifacts.sending(party):
        data = await artifacts.read(artifact, wanted_format(artifact, plain), party)
    if plain:
        return Response(data, headers=dict(headers), media_type=FORMATS[plain].media_type)
    answer = await asyncio.to_thread(_answer, data, asked)  # the words of an hour are a megabyte
    return Response(answer, headers=dict(headers), media_type="application/json")


def _answer(transcript: bytes, asked: TranscriptionRequest) -> bytes:
    return json.dumps(_members(json.loads(transcript), asked), separators=(",", ":")).encode("ascii")


def _members(stored: dict[str, Any], asked: TranscriptionRequest) -> dict[str, Any]:
    usage = {"type": "duration", "seconds": round(stored["duration"])}
    if asked.response_format == "json":
        return {"text": stored["text"], "usage": usage}
    wanted = asked.timestamp_granularities or ("segment",)
    answer = {
        "task": "transcribe",
        **{name: stored[name] for name in ("language", "duration", "text")},
        "usage": usage,
    }
    if "segment" in wanted:
        answer["segments"] = [
            {name: segment[name] for name in ("id", "start", "end", "text")} for segment in stored["segments"]
        ]
    if "word" in wanted:
        words = (word for segment in stored["segments"] for word in segment["words"])
        answer["words"] = [{**word, "word": word["word"].strip()} for word in words]
    return answer
