"""/v1/jobs/{id}/preview: what a picture that is being made looks like so far."""

from contextlib import suppress

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from services.api.artifacts import MAX_DIGITS
from services.api.jobs import poll_headers
from services.api.problems import RequestRefused
from services.api.representation import previews_of
from services.api.state import AppState
from services.common.cache import Cache
from services.common.errors import BackendUnavailable
from services.common.previews import preview_key


def preview_routes() -> list[BaseRoute]:
    return [Route("/v1/jobs/{job_id}/preview", show, methods=["GET"])]


async def show(request: Request[AppState]) -> Response:
    """The newest, a small JPEG; `?index=` counts the job's pictures from 0. None before the first and after the end."""
    record = await request.state["gateway"].read(request.path_params["job_id"])
    index = request.query_params.get("index", "0")
    found = None
    if previews_of(record) and index.isascii() and index.isdigit() and len(index) <= MAX_DIGITS:
        found = await _cached(request.state["backends"].cache, preview_key(record.job_id, int(index)))
    if found is None:
        headers = poll_headers(record, request.state["settings"])
        raise RequestRefused("preview-not-found", f"the job is {record.state}, and shows nothing of it now", headers)
    return Response(found, headers={"Cache-Control": "no-store"}, media_type="image/jpeg")


async def _cached(cache: Cache, key: str) -> bytes | None:
    with suppress(BackendUnavailable):
        return await cache.get(key)
    return None
