"""The routes of the pages for people. They work without JavaScript, which only saves reloads."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route

from services.api.auth.same_origin import foreign_sender
from services.api.http.state import AppState, Handler
from services.api.pages.history_page import HistoryPage
from services.api.pages.home_page import HomePage
from services.api.pages.job_pages import JobPages
from services.api.pages.login_page import LoginPage, signed_in
from services.api.pages.page_errors import error_page, refused, with_error_pages
from services.api.pages.page_templates import PageTemplates
from services.api.pages.status_page import StatusPage
from services.api.pages.uploads import PATH as WITH_FILES
from services.common.settings import Settings


def page_routes(settings: Settings, templates: PageTemplates) -> list[BaseRoute]:
    home, job, history = HomePage(templates, settings), JobPages(templates, settings), HistoryPage(templates, settings)
    login = LoginPage(templates)
    status = StatusPage(templates)

    def open_get(path: str, handler: Handler) -> Route:
        return Route(path, with_error_pages(templates, handler), methods=["GET"])

    def open_post(path: str, handler: Handler) -> Route:
        return Route(path, with_error_pages(templates, _ours(templates, settings, handler)), methods=["POST"])

    def get(path: str, handler: Handler) -> Route:
        return open_get(path, signed_in(handler))

    def post(path: str, handler: Handler) -> Route:
        return open_post(path, signed_in(handler))

    return [
        get("/", home.show),
        post("/", home.submit),
        post(WITH_FILES, home.submit_with_files),
        get(WITH_FILES, home.reloaded),
        get("/busy", home.busy),
        get("/history", history.show),
        get("/history/fragment", history.fragment),
        get("/status", status.show),
        get("/status/fragment", status.fragment),
        get("/jobs/{job_id}", job.show),
        get("/jobs/{job_id}/fragment", job.fragment),
        post("/jobs/{job_id}/cancel", job.cancel),
        post("/jobs/{job_id}/retry", job.retry),
        post("/jobs/{job_id}/delete", job.delete),
        open_get("/login", login.show),
        open_post("/login", login.sign_in),
        open_post("/logout", login.sign_out),
        Mount("/static", templates.assets),
    ]


def _ours(templates: PageTemplates, settings: Settings, handler: Handler) -> Handler:
    async def handle(request: Request[AppState]) -> Response:
        if detail := foreign_sender(request, settings.public_url):
            told = refused("other-origin", f"forms work only from this site's own pages, and {detail}")
            return error_page(templates, told)
        return await handler(request)

    return handle
