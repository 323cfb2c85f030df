"""/problems: the meaning of the codes of refusals, of failed jobs and of warnings."""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from services.api.http.authorization import Access
from services.api.http.base_path import base_path
from services.api.http.endpoint import Answer, Endpoint
from services.api.http.problem_views import ProblemKindView
from services.api.http.problems import KINDS
from services.api.http.state import AppState
from services.common.suggestions import unknown


def problem_endpoints() -> list[Endpoint]:
    return [
        Endpoint(
            "GET",
            "/problems/{code}",
            describe,
            "Look up a problem",
            "Problems",
            {200: Answer("Its meaning.", ProblemKindView)},
            ["not-found"],
            access=Access.OPEN,
        )
    ]


async def describe(request: Request[AppState]) -> Response:
    """The meaning of a problem's type URI, of a failed job's code or of a warning's."""
    code = request.path_params["code"]
    kind = KINDS.get(code)
    if kind is None:
        raise HTTPException(404, unknown("problem", code, KINDS))
    base = base_path(request.state["settings"].public_url)
    about = ProblemKindView(type=f"{base}/problems/{code}", title=kind.title, status=kind.status or None)
    return JSONResponse(about.model_dump(), headers={"Cache-Control": "public, max-age=3600"})
