"""/v1/jobs: submit, list, read, cancel and remove jobs."""

import asyncio
from dataclasses import replace
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from services.api.auth.caller import caller_of
from services.api.http.conditional import CONDITIONAL, conditional_json
from services.api.http.endpoint import Answer, Body, Endpoint
from services.api.http.history import History, HistoryQuery
from services.api.http.job_views import JobPageView, JobView, poll_headers
from services.api.http.model_schema import model_schema
from services.api.http.own_jobs import JOB_PROBLEMS, own_jobs
from services.api.http.requests.idempotency import idempotency_key
from services.api.http.requests.json_body import BODY_PROBLEMS, read_json_object
from services.api.http.requests.preferences import Preferences
from services.api.http.requests.query import read_query
from services.api.http.requests.waiting import while_client_waits
from services.api.http.state import AppState
from services.api.http.submit_limits import SUBMIT_HEADERS, SUBMIT_PROBLEMS, count_submit
from services.common.catalogue.catalogue import Catalogue
from services.common.errors import BackendUnavailable
from services.common.schemas import StatusRecord

_NAME: Final = "JobRequest"


def _schemas(catalogue: Catalogue, default: str) -> dict[str, dict[str, Any]]:
    """Return exact schemas, except for the rule of some models that joins width and height."""
    of_models: dict[str, dict[str, Any]] = {}
    for name, model in catalogue.models.items():
        schema = model_schema(model, catalogue)
        named = {"const": name, "type": "string"}
        if name == default:
            named["description"] = "The default model."
        properties = {"model": named, **schema["properties"]}
        required = [*schema.get("required", []), *([] if name == default else ["model"])]
        of_models[f"{_NAME}.{name}"] = {**schema, "title": model.title, "properties": properties, "required": required}
    parts = [{"$ref": f"#/components/schemas/{name}"} for name in of_models]
    return {_NAME: {"description": "The parameters of one of the models on offer.", "anyOf": parts}, **of_models}


JOB_REQUEST: Final = Body(_schemas, {"prompt": "matte black coffee grinder", "style": "dark-luxury", "num_images": 2})


def job_endpoints() -> list[Endpoint]:
    return [
        Endpoint(
            "POST",
            "/v1/jobs",
            submit,
            "Submit a job",
            "Jobs",
            {
                202: Answer(
                    "The job is accepted and durable.",
                    JobView,
                    ["Location"],
                    ["Retry-After", "Preference-Applied", "Idempotency-Replayed", *SUBMIT_HEADERS],
                ),
                200: Answer(
                    "The client waited, and the job is over.",
                    JobView,
                    ["Location", "Preference-Applied"],
                    SUBMIT_HEADERS,
                ),
            },
            [*SUBMIT_PROBLEMS, *BODY_PROBLEMS, "too-busy"],
            headers=["Idempotency-Key", "Prefer"],
            body=JOB_REQUEST,
        ),
        Endpoint(
            "GET",
            "/v1/jobs",
            history,
            "List your jobs",
            "Jobs",
            {200: Answer("A page of jobs.", JobPageView, ["ETag"]), **CONDITIONAL},
            ["validation-error", "backend-unavailable"],
            query=HistoryQuery,
            headers=["If-None-Match"],
        ),
        Endpoint(
            "GET",
            "/v1/jobs/{job_id}",
            read,
            "Look at a job",
            "Jobs",
            {200: Answer("The job as it is.", JobView, ["ETag"], ["Retry-After", "Preference-Applied"]), **CONDITIONAL},
            JOB_PROBLEMS,
            headers=["Prefer", "If-None-Match"],
        ),
        Endpoint(
            "POST",
            "/v1/jobs/{job_id}/cancel",
            cancel,
            "Cancel a job",
            "Jobs",
            {202: Answer("Canceled, or about to be.", JobView, ["Location"], ["Retry-After"])},
            [*JOB_PROBLEMS, "job-finished"],
        ),
        Endpoint(
            "DELETE",
            "/v1/jobs/{job_id}",
            remove,
            "Remove a job",
            "Jobs",
            {204: Answer("Deleted for good.")},
            JOB_PROBLEMS,
        ),
    ]


async def submit(request: Request[AppState]) -> Response:
    """202 once the job is durable, or 200 when the client waited for it and it is over."""
    gateway, settings = request.state["gateway"], request.state["settings"]
    quota = await count_submit(request)
    preferences = Preferences.of(request)
    key = idempotency_key(request)
    body = await read_json_object(request)
    caller = caller_of(request)
    record, replayed = await gateway.accept(
        body, owner=caller.owner, idempotency_key=key, quota=quota, sees=caller.sees
    )
    if replayed:
        preferences = replace(preferences, wait_seconds=None)  # answered at once
    if preferences.wait_seconds is not None:
        record = await _waited(request, record, preferences.wait_seconds)
    status = 200 if record.state.terminal and preferences.wait_seconds is not None else 202
    view = JobView.of(record, settings.public_url)
    headers = {
        "Location": view.links.self,
        "Cache-Control": "no-store",
        **poll_headers(record, settings),
        **preferences.applied(status),
        **({"Idempotency-Replayed": "true"} if replayed else {}),
    }
    return _json(view, status, headers)


async def history(request: Request[AppState]) -> Response:
    """Your own jobs, the newest first: those made with your key. On a gateway without keys, a browser's jobs by its
    cookie, else those submitted without one. An operator may ask for another key's jobs by its name.
    """
    query = read_query(request, HistoryQuery)
    page = await History.of(request, query.cursor, query.limit, query.owner)
    public_url = request.state["settings"].public_url
    positions = request.state["positions"]
    places = await asyncio.gather(*(positions.place_of(job) for job in page.jobs))
    jobs = [JobView.of(job, public_url, place) for job, place in zip(page.jobs, places, strict=True)]
    view = JobPageView(data=tuple(jobs), next_cursor=page.next_cursor)
    headers = {"Cache-Control": "private, no-cache", "Vary": "Authorization, Cookie"}
    return conditional_json(request, view.model_dump_json().encode(), headers)


async def read(request: Request[AppState]) -> Response:
    """200 in every state; `Retry-After` says when to poll again and is absent once the job is over."""
    settings = request.state["settings"]
    preferences = Preferences.of(request)
    job_id, positions = request.path_params["job_id"], request.state["positions"]
    if preferences.wait_seconds:
        record = await while_client_waits(request, own_jobs(request).read(job_id, preferences.wait_seconds))
        place = await positions.place_of(record)
    else:
        record, reported = await asyncio.gather(own_jobs(request).read(job_id), positions.reported(job_id))
        place = await positions.place(record, reported)
    headers = {
        "Cache-Control": "private, no-cache",
        "Vary": "Prefer",
        **poll_headers(record, settings),
        **preferences.applied(200),
    }
    view = JobView.of(record, settings.public_url, place)
    return conditional_json(request, view.model_dump_json().encode(), headers)


async def cancel(request: Request[AppState]) -> Response:
    """202: a queued job is canceled at once, a running one stops at its next step."""
    settings = request.state["settings"]
    record = await own_jobs(request).cancel(request.path_params["job_id"])
    view = JobView.of(record, settings.public_url)
    headers = {"Location": view.links.self, "Cache-Control": "no-store", **poll_headers(record, settings)}
    return _json(view, 202, headers)


async def remove(request: Request[AppState]) -> Response:
    """204: the job and its artifacts are deleted, and answer 410 from now on."""
    await own_jobs(request).remove(request.path_params["job_id"])
    return Response(status_code=204)


async def _waited(request: Request[AppState], record: StatusRecord, seconds: float) -> StatusRecord:
    try:
        return await while_client_waits(request, request.state["gateway"].read(record.job_id, seconds))
    except BackendUnavailable:
        # The job is accepted: an answer that it cannot be watched must not look like a refusal.
        return record


def _json(view: JobView, status: int, headers: dict[str, Any]) -> Response:
    return Response(view.model_dump_json().encode(), status, headers, "application/json")
