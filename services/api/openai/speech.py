"""/v1/audio/speech, as OpenAI's clients call it (https://platform.openai.com/docs/api-reference/audio/createSpeech)."""

from contextlib import AsyncExitStack
from functools import partial
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from services.api.auth.caller import caller_of
from services.api.core.formats.file_format import FORMATS, FileFormat, wanted_format
from services.api.http.endpoint import Answer, Body, Endpoint
from services.api.http.holding import HoldingResponse
from services.api.http.requests.json_body import BODY_PROBLEMS, read_json_object
from services.api.http.state import AppState
from services.api.http.submit_limits import SUBMIT_HEADERS
from services.api.openai.errors import KINDS
from services.api.openai.flow import JOB_ANSWERS, JOB_PROBLEMS, Headers, Wish, answer_with_job
from services.api.openai.models import SPEECH
from services.api.openai.speech_request import NAMES, SpeechRequest, speech_schemas
from services.common.modalities.modality import Media
from services.common.schemas import Artifact, StatusRecord

# Samples without a header, which have no place for a mark.
_PCM: Final = FileFormat(
    "pcm",
    "audio/pcm",
    "pcm",
    Media.AUDIO,
    {"codec": "pcm_s16le", "container": "s16le", "bit_rate": 0, "rate": 24_000, "channels": 1},
)
_FILES: Final = (*(each.media_type for each in FORMATS.values() if each.media is Media.AUDIO), _PCM.media_type)


def speech_endpoints() -> list[Endpoint]:
    return [
        Endpoint(
            "POST",
            "/v1/audio/speech",
            speak,
            "Have a text said as OpenAI's clients do",
            "OpenAI",
            {200: Answer("The sound.", headers=["X-Job-Id"], sometimes=SUBMIT_HEADERS, files=_FILES), **JOB_ANSWERS},
            [*JOB_PROBLEMS, *BODY_PROBLEMS, "format-unavailable"],
            headers=["Idempotency-Key"],
            body=Body(
                speech_schemas,
                {"model": "tts-1", "input": "Your mug is ready.", "voice": "alloy", "response_format": "wav"},
            ),
            kinds=KINDS,
        )
    ]


async def speak(request: Request[AppState]) -> Response:
    """Answer 200 with the sound once the job is over, or 504 with its id when the job takes longer than the wait.

    A client that hangs up cancels its job, unless it sent an Idempotency-Key or another client looks at the job. A
    request that OpenAI's client sends again, after a timeout or a lost connection, is answered from the same job. The
    job in the header X-Job-Id has warnings, such as words that the voice has no sound for.
    """

    async def understand() -> Wish:
        body = await read_json_object(request)
        asked = SpeechRequest.of(body)
        model = SPEECH.asked_for(asked.model, request.state["gateway"].model(None), request.state["catalogue"])
        return Wish(asked.job(model), body, partial(_sound, request, asked))

    return await answer_with_job(request, NAMES, understand)


async def _sound(request: Request[AppState], asked: SpeechRequest, record: StatusRecord, headers: Headers) -> Response:
    """Read the file, which counts as one of the party's downloads until the client has it."""
    artifact, party = record.artifacts[0], caller_of(request).party
    wanted = _wanted(artifact, asked.response_format)
    async with AsyncExitStack() as turn:
        await turn.enter_async_context(request.state["artifacts"].sending(party))
        data = await request.state["artifacts"].read(artifact, wanted, party)
        media_type = wanted.media_type if wanted else artifact.media_type
        return HoldingResponse(data, headers=headers, media_type=media_type).holding(turn.pop_all())


def _wanted(artifact: Artifact, name: str) -> FileFormat | None:
    return _PCM if name == _PCM.name else wanted_format(artifact, name)
