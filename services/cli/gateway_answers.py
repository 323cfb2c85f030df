"""Reads the answers of a gateway, and tells them from those of a proxy in front of it."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import httpx2

from services.common.network.addresses import without_password

RETRY_SECONDS = 1.0


class Unreachable(Exception):
    """No gateway answers; exit code 3."""


class Refused(Exception):
    """The gateway refused the request: `unavailable` when it may take it later (3), else a wrong request (2)."""

    def __init__(self, problem: Mapping[str, Any], *, unavailable: bool, retry_after: float = RETRY_SECONDS) -> None:
        faults = [
            f"{error['pointer'].strip('/') or 'request'}: {error['detail']}" for error in problem.get("errors", [])
        ]
        super().__init__("; ".join(faults) or str(problem.get("detail") or problem.get("title")))
        self.unavailable = unavailable
        self.retry_after = retry_after


def check_type(response: httpx2.Response, media_type: str) -> None:
    """Raise Unreachable for another media type, as of a proxy's page to sign in: /livez may need no signing in."""
    got = response.headers.get("Content-Type", "no type").partition(";")[0].strip()
    if got.lower() != media_type:
        raise Unreachable(
            f"{_shown(response)} answered {got} in place of {media_type}, which is no answer of a gateway: "
            f"check STUDIO_URL, and the proxy in front of it"
        )


def problem_in(response: httpx2.Response) -> Mapping[str, Any]:
    """Return the problem, or one that says that the answer is none of a gateway's, but perhaps a proxy's."""
    problem: object = None
    if response.headers.get("Content-Type", "").startswith("application/problem+json"):
        with suppress(ValueError):
            problem = response.json()
    if not isinstance(problem, dict):
        came = f"{_shown(response)} answered {response.status_code} {response.reason_phrase}"
        return {"detail": f"{came}, which is no answer of a gateway: check STUDIO_URL, and the proxy in front of it"}
    if problem.get("code") == "unauthenticated":
        return {"detail": f"{problem.get('detail')}; `studio` sends the key in STUDIO_API_KEY"}
    return problem


def _shown(response: httpx2.Response) -> str:
    """Return the address that answered, without a password or the signature of a link."""
    return without_password(str(response.url).partition("?")[0])
