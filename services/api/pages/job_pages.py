"""A job's own page. It shows only stored state, so people can reload it, leave it and come back."""

import asyncio
import hashlib
from contextlib import suppress
from typing import Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.api.auth.caller import caller_of
from services.api.core.formats.file_format import formats_of, wanted_format
from services.api.http.own_jobs import own_jobs
from services.api.http.state import AppState
from services.api.pages.job_card import PHASE_TITLES, JobCard
from services.api.pages.page_templates import PageTemplates
from services.api.pages.submission import new_token, read_form, submit_form, token_or_new
from services.common.errors import JobFinished, StudioError
from services.common.modalities.modality import Media
from services.common.schemas import StatusRecord
from services.common.settings import Settings

LONGEST_TEXT: Final = 500_000  # bytes of a stored text that the page shows: some hours of speech


class JobPages:
    def __init__(self, templates: PageTemplates, settings: Settings) -> None:
        self._templates = templates
        self._settings = settings

    async def show(self, request: Request[AppState]) -> Response:
        return await self._page(request, "job.html")

    async def fragment(self, request: Request[AppState]) -> Response:
        """Answer with the card alone; the script replaces its own with it."""
        return await self._page(request, "job_card.html")

    async def cancel(self, request: Request[AppState]) -> Response:
        """Cancel the job and lead back to its page, which also shows a job that ended before."""
        with suppress(JobFinished):
            await own_jobs(request).cancel(_job_id(request))
        return _to_job(_job_id(request))

    async def retry(self, request: Request[AppState]) -> Response:
        """Submit a new job like this one: `seed=same` keeps the seed, else the gateway draws another."""
        job = await own_jobs(request).read(_job_id(request))
        data = await read_form(request)
        token, same_seed = token_or_new(data.get("token", "")), data.get("seed") == "same"
        body = {"model": job.message.model, **job.message.params}
        if not same_seed:
            body.pop("seed", None)
        key = hashlib.sha256(f"{job.job_id}{same_seed}{token}".encode()).hexdigest()[:32]
        return await submit_form(request, body, f"retry-{key}", token)

    async def delete(self, request: Request[AppState]) -> Response:
        """Delete the job and lead to the form, as the job's own page is gone."""
        await own_jobs(request).remove(_job_id(request))
        return RedirectResponse("/?deleted=1", 303)

    async def _page(self, request: Request[AppState], name: str) -> Response:
        job_id, catalogue = _job_id(request), request.state["catalogue"]
        positions = request.state["positions"]
        job, reported = await asyncio.gather(own_jobs(request).read(job_id), positions.reported(job_id))
        place, texts = await asyncio.gather(positions.place(job, reported), _texts(request, job))
        card = JobCard.of(job, catalogue, self._settings.poll_seconds, place, texts)
        account, token = caller_of(request).account, new_token()
        return self._templates.page(name, account=account, card=card, token=token, phases=PHASE_TITLES)


async def _texts(request: Request[AppState], job: StatusRecord) -> dict[int, str]:
    """Return the content of the artifacts that are texts, by their index, as far as they can be read now."""
    artifacts, party, found = request.state["artifacts"], caller_of(request).party, {}
    for artifact in job.artifacts:
        formats = {each.name: each for each in formats_of(artifact) if each.media is Media.TEXT}
        if "txt" not in formats or artifact.bytes > LONGEST_TEXT:
            continue
        with suppress(StudioError):
            async with artifacts.sending(party):
                content = await artifacts.read(artifact, wanted_format(artifact, "txt"), party)
            found[artifact.index] = content.decode("utf-8", "replace")
    return found


def _job_id(request: Request[AppState]) -> str:
    return str(request.path_params["job_id"])


def _to_job(job_id: str) -> Response:
    return RedirectResponse(f"/jobs/{job_id}", 303)
