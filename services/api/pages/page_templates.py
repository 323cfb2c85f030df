"""Renders the pages. Every value in them is escaped, so that typed text never becomes markup."""

from http import HTTPStatus
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

from services.api.pages.assets import Assets
from services.common.setting_types import data_folder

NAMES: Final = (
    "home.html",
    "busy_badge.html",
    "job.html",
    "job_card.html",
    "history.html",
    "history_list.html",
    "error.html",
    "login.html",
    "docs.html",
    "status.html",
    "status_facts.html",
)


def load_page_templates(base_path: str = "") -> "PageTemplates":
    """Load the templates that ship, and their assets; links in them begin with `base_path`.

    Raises OSError or jinja2.TemplateError when they are missing or broken.
    """
    folder = data_folder("web")
    return PageTemplates(folder / "templates", Assets(folder / "static", base_path), base_path)


class PageTemplates:
    def __init__(self, folder: Path, assets: Assets, base_path: str) -> None:
        self.assets = assets
        environment = Environment(
            loader=FileSystemLoader(folder),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.globals.update(root=base_path, asset=assets.url, example_image=assets.example_image)
        # Compiled once, at the start: a broken template stops it, and no request reads a file.
        self._templates = {name: environment.get_template(name) for name in NAMES}

    def page(
        self, name: str, status: int = HTTPStatus.OK, headers: dict[str, str] | None = None, **context: object
    ) -> HTMLResponse:
        """Return a page. No cache stores it: it shows the present state, and its form carries a token of its own."""
        content = self.render(name, **context)
        return HTMLResponse(content, status, {"Cache-Control": "no-store", **(headers or {})})

    def render(self, name: str, **context: object) -> str:
        """Return the HTML of a page."""
        return self._templates[name].render(context)
