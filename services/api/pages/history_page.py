"""The page /history: the visitor's own photos, the newest first."""

from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.api.auth.caller import caller_of
from services.api.http.history import History, position
from services.api.http.state import AppState
from services.api.pages.job_card import JobCard
from services.api.pages.page_templates import PageTemplates
from services.common.schemas import StatusRecord
from services.common.settings import Settings

THUMBNAIL: Final = 400  # pixels a side: twice the width of a card
PAGE: Final = 24  # photos; fills rows of two, three, four and six
_UNITS: Final = ((86400, "day"), (3600, "hour"), (60, "minute"))


@dataclass(frozen=True)
class HistoryEntry:
    """A photo in the list. `thumbnail` is the URL of its first image, small and as WebP; None without one."""

    card: JobCard
    age: str
    thumbnail: str | None


class HistoryPage:
    def __init__(self, templates: PageTemplates, settings: Settings) -> None:
        self._templates = templates
        self._settings = settings

    async def show(self, request: Request[AppState]) -> Response:
        return await self._page(request, "history.html")

    async def fragment(self, request: Request[AppState]) -> Response:
        """Answer with the list alone; the script replaces its own with it while one of the photos is being made."""
        return await self._page(request, "history_list.html")

    async def _page(self, request: Request[AppState], name: str) -> Response:
        cursor = request.query_params.get("cursor")
        try:
            history = await self._history(request, cursor)
        except ValueError:
            return RedirectResponse("/history", 303)
        entries = [self._entry(request, job) for job in history.jobs]
        live = any(entry.card.live for entry in entries)
        return self._templates.page(
            name,
            account=caller_of(request).account,
            entries=entries,
            cursor=cursor,
            next_cursor=history.next_cursor,
            kept=_words(self._settings.retention_seconds) or "a moment",
            poll_seconds=self._settings.poll_seconds * 2 if live else None,
        )

    async def _history(self, request: Request[AppState], cursor: str | None) -> History:
        if caller_of(request).owner is not None:
            return await History.of(request, cursor, PAGE)
        # A visitor without a cookie has made nothing on the pages; programs' jobs without a key have no owner.
        if cursor is not None:
            position(cursor)
        return History((), None)

    def _entry(self, request: Request[AppState], job: StatusRecord) -> HistoryEntry:
        card = JobCard.of(job, request.state["catalogue"], self._settings.poll_seconds)
        first = next((each for each in card.artifacts if each.artifact.media_type.startswith("image/")), None)
        return HistoryEntry(
            card,
            _age(request.state["gateway"].age(job)),
            f"{first.url}?format=webp&max_side={THUMBNAIL}" if first else None,
        )


def _age(seconds: float) -> str:
    words = _words(seconds)
    return f"{words} ago" if words else "just now"


def _words(seconds: float) -> str:
    """Return the time in the largest unit it fills; empty below a minute."""
    for unit, name in _UNITS:
        if (count := int(seconds // unit)) >= 1:
            return f"{count} {name}{'' if count == 1 else 's'}"
    return ""
