"""/v1/status: the whole system at one look, for programs; the page /status shows it to people."""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import version

from starlette.requests import Request
from starlette.responses import Response

from services.api.auth.caller import caller_of
from services.api.core.model_queue import ModelQueue
from services.api.http.endpoint import Answer, Endpoint
from services.api.http.problem_views import DependenciesView
from services.api.http.state import AppState
from services.api.http.status_views import StatusView, WorkerView
from services.api.pages.page_templates import PageTemplates
from services.api.v1.health import dependencies
from services.api.v1.queue import queue_view
from services.common.errors import BackendUnavailable
from services.common.presence import Presence


def status_endpoints() -> list[Endpoint]:
    return [
        Endpoint(
            "GET",
            "/v1/status",
            show,
            "See how the system is",
            "Health",
            {200: Answer("What is known of it, whatever does not answer.", StatusView)},
        )
    ]


async def show(request: Request[AppState]) -> Response:
    """Always 200: what does not answer is named. Probes ask `/readyz`."""
    view = await _status(request)
    return Response(view.model_dump_json().encode(), 200, {"Cache-Control": "no-store"}, "application/json")


class StatusPage:
    def __init__(self, templates: PageTemplates) -> None:
        self._templates = templates

    async def show(self, request: Request[AppState]) -> Response:
        return await self._page(request, "status.html")

    async def fragment(self, request: Request[AppState]) -> Response:
        """Only what is told, which the script puts in place of what it has."""
        return await self._page(request, "status_facts.html")

    async def _page(self, request: Request[AppState], name: str) -> Response:
        status = await _status(request)
        seconds = {each.id: round((status.at - each.since).total_seconds()) for each in status.workers or ()}
        return self._templates.page(name, account=caller_of(request).account, system=status, seconds=seconds)


async def _status(request: Request[AppState]) -> StatusView:
    states, queues = await asyncio.gather(dependencies(request.state["backends"]), _queues(request))
    present = None if queues is None else [worker for queue in queues for worker in queue.workers]
    return StatusView(
        version=version("commercial-studio-photos-generator"),
        at=datetime.now(UTC),
        dependencies=DependenciesView.model_validate(states),
        queues=None if queues is None else tuple(queue_view(queue) for queue in queues),
        workers=None if present is None else _workers(present),
    )


async def _queues(request: Request[AppState]) -> list[ModelQueue] | None:
    try:
        return list((await request.state["line"].queues()).values())
    except BackendUnavailable:
        return None


def _workers(present: Iterable[Presence]) -> tuple[WorkerView, ...]:
    def shown(worker: Presence) -> WorkerView:
        since = datetime.fromtimestamp(worker.since, UTC)
        return WorkerView(
            id=worker.worker_id, model=worker.model, phase=worker.phase, since=since, max_batch=worker.max_batch
        )

    return tuple(sorted(map(shown, present), key=lambda worker: (worker.model, worker.id)))
