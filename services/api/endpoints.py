"""The one table of the API: what is not in it is neither served nor documented."""

from services.api.artifacts import artifact_endpoints
from services.api.catalogue_routes import catalogue_endpoints
from services.api.dead_letter_routes import dead_letter_endpoints
from services.api.health import health_endpoints
from services.api.http.endpoint import Endpoint
from services.api.jobs import job_endpoints
from services.api.openai_images import openai_endpoints
from services.api.previews import preview_endpoints
from services.api.problem_routes import problem_endpoints
from services.api.queue import queue_endpoints
from services.api.status import status_endpoints


def endpoints() -> list[Endpoint]:
    return [
        *job_endpoints(),
        *artifact_endpoints(),
        *preview_endpoints(),
        *catalogue_endpoints(),
        *queue_endpoints(),
        *openai_endpoints(),
        *dead_letter_endpoints(),
        *health_endpoints(),
        *status_endpoints(),
        *problem_endpoints(),
    ]
