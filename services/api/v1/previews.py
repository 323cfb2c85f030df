"""/v1/jobs/{id}/preview: the newest preview of an image in the making."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from services.api.auth.refusal import RequestRefused
from services.api.core.job_summary import JobSummary
from services.api.http.endpoint import Answer, Endpoint
from services.api.http.job_views import poll_headers
from services.api.http.other_sites import embedding_headers
from services.api.http.own_jobs import JOB_PROBLEMS, own_jobs
from services.api.http.requests.query import PLAIN, read_query
from services.api.http.state import AppState


class PreviewQuery(BaseModel):
    """The preview that the client wants."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    index: Annotated[int, Field(ge=0, lt=100, description="The image of the job, counted from 0."), PLAIN] = 0
    at: Annotated[str, Field(description="As in links: keeps browsers from showing an older preview.")] = ""


def preview_endpoints() -> list[Endpoint]:
    return [
        Endpoint(
            "GET",
            "/v1/jobs/{job_id}/preview",
            show,
            "See an image in the making",
            "Artifacts",
            {200: Answer("The newest preview.", files=["image/jpeg"])},
            [*JOB_PROBLEMS, "preview-not-found", "validation-error"],
            query=PreviewQuery,
        )
    ]


async def show(request: Request[AppState]) -> Response:
    """The newest preview, a small JPEG; `?index=` counts from 0. 404 before the first and after the job's end."""
    index = read_query(request, PreviewQuery).index
    record = await own_jobs(request).read(request.path_params["job_id"])
    shown = JobSummary(record).previews
    found = await request.state["gateway"].preview(record, index) if shown else None
    if found is None:
        headers = poll_headers(record, request.state["settings"])
        raise RequestRefused(
            "preview-not-found",
            f"job {record.job_id} is {record.state}, and has no preview of image {index} now",
            headers,
        )
    headers = {"Cache-Control": "no-store", **embedding_headers(request)}
    return Response(found, headers=headers, media_type="image/jpeg")
