"""The page /status: an overview of the whole system, for people."""

from starlette.requests import Request
from starlette.responses import Response

from services.api.auth.caller import caller_of
from services.api.http.state import AppState
from services.api.http.system_status import system_status
from services.api.pages.page_templates import PageTemplates


class StatusPage:
    def __init__(self, templates: PageTemplates) -> None:
        self._templates = templates

    async def show(self, request: Request[AppState]) -> Response:
        return await self._page(request, "status.html")

    async def fragment(self, request: Request[AppState]) -> Response:
        """Answer with the facts alone; the script replaces its own with them."""
        return await self._page(request, "status_facts.html")

    async def _page(self, request: Request[AppState], name: str) -> Response:
        status = await system_status(request)
        since = {(each.id, each.model): status.at - each.since for each in status.workers or ()}
        seconds = {each: max(0, round(time.total_seconds())) for each, time in since.items()}
        return self._templates.page(name, account=caller_of(request).account, system=status, seconds=seconds)
