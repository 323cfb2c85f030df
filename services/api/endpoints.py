"""The one table of the API: every operation that is served and documented."""

from dataclasses import replace

from services.api.http.dialect import speaks_openai
from services.api.http.endpoint import Endpoint
from services.api.openai.images import image_endpoints
from services.api.openai.speech import speech_endpoints
from services.api.openai.transcriptions import transcription_endpoints
from services.api.openai.views import OpenAIError
from services.api.v1.artifacts import artifact_endpoints
from services.api.v1.catalogue import catalogue_endpoints
from services.api.v1.dead_letters import dead_letter_endpoints
from services.api.v1.health import health_endpoints
from services.api.v1.inputs import input_endpoints
from services.api.v1.jobs import job_endpoints
from services.api.v1.previews import preview_endpoints
from services.api.v1.problems import problem_endpoints
from services.api.v1.provenance import provenance_endpoints
from services.api.v1.queue import queue_endpoints
from services.api.v1.status import status_endpoints


def endpoints() -> list[Endpoint]:
    """Return every operation; those that OpenAI's clients call have errors in OpenAI's shape."""
    table = [
        *job_endpoints(),
        *artifact_endpoints(),
        *input_endpoints(),
        *preview_endpoints(),
        *provenance_endpoints(),
        *catalogue_endpoints(),
        *queue_endpoints(),
        *image_endpoints(),
        *speech_endpoints(),
        *transcription_endpoints(),
        *dead_letter_endpoints(),
        *health_endpoints(),
        *status_endpoints(),
        *problem_endpoints(),
    ]
    return [replace(each, fault=OpenAIError) if speaks_openai(each.path) else each for each in table]
