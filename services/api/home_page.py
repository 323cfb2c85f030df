"""The first page: one box to type a product into, how busy the studio is, and the details for whoever wants them."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from services.api.busy_badge import BusyBadge
from services.api.page_errors import BUSY, DELETED, Notice, notice, retry_headers
from services.api.page_templates import PageTemplates
from services.api.photo_choices import PhotoChoices, photo_model
from services.api.photo_form import PhotoForm
from services.api.state import AppState
from services.api.submission import read_form, submit_form
from services.common.catalogue import Model
from services.common.errors import BackendUnavailable, InvalidRequest, NotAccepted, StudioError
from services.common.settings import Settings

BUSY_POLL_FACTOR: Final = 5  # the badge is for one look before submitting, not for watching
EXAMPLES: Final = 3


class HomePage:
    def __init__(self, templates: PageTemplates, settings: Settings) -> None:
        self._templates = templates
        self._settings = settings
        self._poll = settings.poll_seconds * BUSY_POLL_FACTOR

    async def show(self, request: Request[AppState]) -> Response:
        """The form; `?from=JOB&seed=N` fills it in as that job was, `?product=` and `?model=` with what they name."""
        query = request.query_params
        form = PhotoForm.blank(self._choices(request, query.get("model")), query.get("product", ""))
        if origin := query.get("from"):
            form = await self._like(request, origin, query.get("seed", ""))
        return await self._page(request, form, told=DELETED if query.get("deleted") else None)

    async def submit(self, request: Request[AppState]) -> Response:
        """303 to the job's page, or the form again with what was typed and what is wrong with it."""
        data = await read_form(request)
        form = PhotoForm.sent(self._choices(request, data.get("model")), data)
        try:
            return await submit_form(request, form.body(), form.idempotency_key(), form.token)
        except InvalidRequest as exc:
            return await self._page(request, form.refused(exc.errors), 422)
        except (NotAccepted, BackendUnavailable) as exc:
            told = notice(exc) or BUSY
            return await self._page(request, form, told.status, told)

    async def busy(self, request: Request[AppState]) -> Response:
        """Only the badge, which the script puts in place of the one it has."""
        model = self._model(request, request.query_params.get("model"))
        badge = await self._badge(request, model.name)
        return self._templates.page("busy_badge.html", badge=badge, poll_seconds=self._poll)

    async def _page(
        self, request: Request[AppState], form: PhotoForm, status: int = 200, told: Notice | None = None
    ) -> Response:
        model = form.choices.model.name
        # A queue that was full a moment ago is: the last look at it may be older.
        badge = BusyBadge.full(model) if told is BUSY else await self._badge(request, model)
        return self._templates.page(
            "home.html",
            status,
            retry_headers(told) if told else {},
            form=form,
            examples=[style.example for style in form.choices.styles[:EXAMPLES]],
            notice=told,
            badge=badge,
            poll_seconds=self._poll,
        )

    async def _badge(self, request: Request[AppState], model: str) -> BusyBadge:
        try:
            queue = (await request.state["line"].queues())[model]
        except BackendUnavailable:
            queue = None
        return BusyBadge.of(model, queue, self._settings.queue_limit)

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
        return PhotoChoices.of(self._model(request, name), request.state["gateway"].catalogue)

    def _model(self, request: Request[AppState], name: str | None) -> Model:
        return photo_model(request.state["gateway"].catalogue, name, self._settings.model)
