"""The first page: one box to type a product into, how busy the studio is, and the details to fold out."""

from collections.abc import Mapping
from typing import Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.api.auth.caller import caller_of
from services.api.core.model_queue import ModelQueue
from services.api.http.own_jobs import own_jobs
from services.api.http.state import AppState
from services.api.http.submit_limits import count_submit
from services.api.pages.busy_badge import BusyBadge
from services.api.pages.form_choices import FormChoices, form_model, has_form
from services.api.pages.job_form import JobForm
from services.api.pages.page_errors import BUSY, DELETED, NOT_FILLED_IN, Notice, another_model, notice, retry_headers
from services.api.pages.page_templates import PageTemplates
from services.api.pages.submission import owner_of, read_form, remember, submit_form
from services.api.pages.uploads import PATH as WITH_FILES
from services.api.pages.uploads import upload_form
from services.common.catalogue.catalogue import Model
from services.common.errors import BackendUnavailable, InvalidRequest, LimitReached, NotAccepted, StudioError
from services.common.modalities.registry import modalities
from services.common.ports import Quota
from services.common.schemas import StatusRecord
from services.common.settings import Settings

BUSY_POLL_FACTOR: Final = 5  # people look at the badge once before submitting, and do not watch it
EXAMPLES: Final = 3

Queues = Mapping[str, ModelQueue]


class HomePage:
    def __init__(self, templates: PageTemplates, settings: Settings) -> None:
        self._templates = templates
        self._settings = settings
        self._poll = settings.poll_seconds * BUSY_POLL_FACTOR

    async def show(self, request: Request[AppState]) -> Response:
        """Show the form.

        `?model=` is for that model; `?from=JOB&seed=N` fills it in as that job was, and the name of a
        parameter with its value.
        """
        query = request.query_params
        form = JobForm.blank(self._choices(request, query.get("model")), dict(query))
        told = _another_model(form, query.get("model"))
        if origin := query.get("from"):
            form, told = await self._like(request, origin, query.get("seed", ""))
        return await self._page(request, form, told=DELETED if query.get("deleted") else told)

    async def submit(self, request: Request[AppState]) -> Response:
        """Answer 303 to the job's page, or the form again as it was filled in, with a sentence at each fault."""
        data = await read_form(request)
        return await self._submit(request, JobForm.sent(self._choices(request, data.get("model")), data))

    async def submit_with_files(self, request: Request[AppState]) -> Response:
        """Take in the files, then answer as `submit`. A file that was taken stays in a form that is shown again."""
        try:
            quota = await count_submit(request)
        except LimitReached as exc:
            form = JobForm.blank(self._choices(request))
            told = notice(request, exc) or BUSY
            return await self._page(request, form, told.status, told)
        async with upload_form(request) as sent:
            form = JobForm.sent(self._choices(request, sent.fields.get("model")), sent.fields)
            owner = owner_of(request, form.token)
            taken, faults = await sent.take(request, form.choices.files, owner)
        form = form.given(taken, faults)
        answer = await self._page(request, form, 422) if faults else await self._submit(request, form, quota)
        return remember(request, answer, owner)

    async def _submit(self, request: Request[AppState], form: JobForm, quota: Quota | None = None) -> Response:
        named = form.values.get("model")
        if told := _another_model(form, named):
            return await self._page(request, form, told.status, told)
        try:
            return await submit_form(request, form.body(), form.idempotency_key(), form.token, quota)
        except InvalidRequest as exc:
            return await self._page(request, form.refused(exc.errors), 422)
        except (NotAccepted, BackendUnavailable, LimitReached) as exc:
            told = notice(request, exc) or BUSY
            return await self._page(request, form, told.status, told)

    async def reloaded(self, request: Request[AppState]) -> Response:  # noqa: ARG002 - a handler
        """Lead to the form: this address is only sent to, and stays in the browser after a form with a fault."""
        return RedirectResponse("/", 303)

    async def busy(self, request: Request[AppState]) -> Response:
        """Answer with the badge alone; the script replaces its own with it."""
        model = self._model(request, request.query_params.get("model"))
        badge = self._badge(await self._queues(request), model.name)
        return self._templates.page("busy_badge.html", badge=badge, poll_seconds=self._poll)

    async def _page(
        self, request: Request[AppState], form: JobForm, status: int = 200, told: Notice | None = None
    ) -> Response:
        model = form.choices.model.name
        queues = await self._queues(request)
        # The queue was full just now; the remembered length of it may be older.
        badge = BusyBadge.full(model) if told is BUSY else self._badge(queues, model)
        return self._templates.page(
            "home.html",
            status,
            retry_headers(told) if told else {},
            account=caller_of(request).account,
            form=form,
            action=WITH_FILES if form.choices.files else "/",
            models=self._ready_models(request, queues, model),
            examples=[style.example for style in form.choices.styles[:EXAMPLES]],
            notice=told,
            badge=badge,
            poll_seconds=self._poll,
        )

    def _badge(self, queues: Queues, model: str) -> BusyBadge:
        return BusyBadge.of(model, queues.get(model), self._settings.queue_limit)

    async def _queues(self, request: Request[AppState]) -> Queues:
        try:
            return await request.state["positions"].queues()
        except BackendUnavailable:
            return {}

    def _ready_models(self, request: Request[AppState], queues: Queues, shown: str) -> list[Model]:
        """Return the models to choose from: those with a worker, and the one shown."""
        catalogue = request.state["catalogue"]
        ready = {name for name, queue in queues.items() if queue.taking_jobs} | {shown}
        return [model for name, model in catalogue.models.items() if name in ready and has_form(model, catalogue)]

    async def _like(self, request: Request[AppState], job_id: str, seed: str) -> tuple[JobForm, Notice | None]:
        try:
            job = await own_jobs(request).read(job_id)
        except StudioError:
            return JobForm.blank(self._choices(request)), NOT_FILLED_IN
        choices = self._choices(request, job.message.model)
        if job.message.model != choices.model.name:
            form = JobForm.blank(choices, {choices.subject.name: _title(job)} if choices.subject else {})
            return form, _another_model(form, job.message.model)
        return JobForm.like(choices, job, seed), None

    def _choices(self, request: Request[AppState], name: str | None = None) -> FormChoices:
        return FormChoices.of(self._model(request, name), request.state["catalogue"])

    def _model(self, request: Request[AppState], name: str | None) -> Model:
        return form_model(request.state["catalogue"], name, self._settings.model)


def _title(job: StatusRecord) -> str:
    """Return the words that the job was given; "" for a kind of job that is not known any more."""
    known = modalities().get(job.message.modality)
    return known.title(job.message.params) if known else ""


def _another_model(form: JobForm, named: str | None) -> Notice | None:
    """Return what to tell if the form is not for the model named; None where it is, or where none is named."""
    shown = form.choices.model
    return None if not named or named == shown.name else another_model(named, shown.title)
