"""The pages for people: the form, and a job's own page. They work without JavaScript, which only saves reloads."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route

from services.api.assets import Assets
from services.api.job_pages import JobPages
from services.api.page_errors import (
    BUSY,
    DELETED,
    NOT_OURS,
    Handler,
    error_page,
    notice,
    retry_headers,
    with_error_pages,
)
from services.api.page_templates import PageTemplates
from services.api.photo_choices import PhotoChoices, photo_model
from services.api.photo_form import PhotoForm
from services.api.same_origin import is_same_origin
from services.api.state import AppState
from services.api.submission import read_form, submit_form
from services.common.errors import BackendUnavailable, InvalidRequest, NotAccepted, StudioError
from services.common.settings import Settings, data_folder

EXAMPLES = ("matte black coffee grinder", "amber glass perfume bottle", "white canvas sneaker")


def page_routes(settings: Settings) -> list[BaseRoute]:
    """Raises OSError or jinja2.TemplateError when the pages are not there or are broken."""
    folder = data_folder("web")
    assets = Assets(folder / "static")
    templates = PageTemplates(folder / "templates", assets)
    home, job = HomePage(templates, settings), JobPages(templates, settings)

    def get(path: str, handler: Handler) -> Route:
        return Route(path, with_error_pages(templates, handler), methods=["GET"])

    def post(path: str, handler: Handler) -> Route:
        return Route(path, with_error_pages(templates, _ours(templates, settings, handler)), methods=["POST"])

    return [
        get("/", home.show),
        post("/", home.submit),
        get("/jobs/{job_id}", job.show),
        get("/jobs/{job_id}/fragment", job.fragment),
        post("/jobs/{job_id}/cancel", job.cancel),
        post("/jobs/{job_id}/retry", job.retry),
        post("/jobs/{job_id}/delete", job.delete),
        Mount("/static", assets),
    ]


class HomePage:
    def __init__(self, templates: PageTemplates, settings: Settings) -> None:
        self._templates = templates
        self._settings = settings

    async def show(self, request: Request[AppState]) -> Response:
        """The form; `?from=JOB&seed=N` fills it in as that job was, `?product=` with that product."""
        query = request.query_params
        form = PhotoForm.blank(self._choices(request), query.get("product", ""))
        if origin := query.get("from"):
            form = await self._like(request, origin, query.get("seed", ""))
        told = DELETED if query.get("deleted") else None
        return self._templates.page("home.html", form=form, examples=EXAMPLES, notice=told)

    async def submit(self, request: Request[AppState]) -> Response:
        """303 to the job's page, or the form again with what was typed and what is wrong with it."""
        data = await read_form(request)
        form = PhotoForm.sent(self._choices(request, data.get("model")), data)
        try:
            return await submit_form(request, form.body(), form.idempotency_key(), form.token)
        except InvalidRequest as exc:
            form = form.refused(exc.errors)
            return self._templates.page("home.html", 422, form=form, examples=EXAMPLES, notice=None)
        except (NotAccepted, BackendUnavailable) as exc:
            told = notice(exc) or BUSY
            return self._templates.page(
                "home.html", told.status, retry_headers(told), form=form, examples=EXAMPLES, notice=told
            )

    async def _like(self, request: Request[AppState], job_id: str, seed: str) -> PhotoForm:
        try:
            job = await request.state["gateway"].read(job_id)
        except StudioError:
            return PhotoForm.blank(self._choices(request))
        choices = self._choices(request, job.message.model)
        if job.message.model != choices.model.name:
            return PhotoForm.blank(choices)
        return PhotoForm.like(choices, job, seed)

    def _choices(self, request: Request[AppState], name: str | None = None) -> PhotoChoices:
        catalogue = request.state["gateway"].catalogue
        return PhotoChoices.of(photo_model(catalogue, name, self._settings.model), catalogue)


def _ours(templates: PageTemplates, settings: Settings, handler: Handler) -> Handler:
    async def handle(request: Request[AppState]) -> Response:
        if not is_same_origin(request, settings.public_url):
            return error_page(templates, NOT_OURS)
        return await handler(request)

    return handle
