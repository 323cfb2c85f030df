"""Checks that hold for the answer to any request."""

import json
from collections.abc import Iterator
from typing import Final

from services.api.http.problems import KINDS, MEDIA_TYPE
from tests.fuzz.requests import GeneratedRequest
from tests.support.live_server import Answer

INSIDES: Final = (b"Traceback", b"site-packages", b"/services/", b"sqlite3", b"pydantic_core")
# A generated id may look older than this store, which then may have been emptied since.
EXPECTED_5XX: Final = ("status-rebuilding",)


def faults_of(request: GeneratedRequest, answer: Answer) -> Iterator[str]:
    """Yield a sentence for each fault of the answer."""
    ours = "X-Request-Id" in answer.headers
    if answer.status == 0:
        if request.whole:
            yield "no answer"
        return
    if not ours and answer.status == 501 and not request.known_coding:
        return  # RFC 9112, section 6.1: the answer to an unknown transfer coding
    problem = _problem(answer)
    if answer.status >= 500 and problem.get("code") not in EXPECTED_5XX and not _is_end_of_job(problem):
        yield f"{answer.status}"
    if not ours and (answer.body or (request.whole and answer.status not in (400, 403, 431))):
        yield "answered by the server itself"
    if any(word in answer.body for word in INSIDES):
        yield "reveals internals"
    if ours:
        yield from _wrong_headers(answer)
    if ours and answer.status >= 400 and request.target.startswith("/v1/") and request.method != "HEAD":
        if not problem or (answer.headers["Content-Type"] == MEDIA_TYPE and problem["status"] != answer.status):
            yield "the error is no problem document"
        elif problem.get("code") not in KINDS:
            yield f"unknown code {problem.get('code')}"


def _wrong_headers(answer: Answer) -> Iterator[str]:
    kind = answer.headers.get("Content-Type", "")
    if answer.headers.get("X-Content-Type-Options") != "nosniff" or "Content-Security-Policy" not in answer.headers:
        yield "lacks its security headers"
    if "Access-Control-Allow-Origin" in answer.headers or "Server" in answer.headers:
        yield "has a header that it should not have"
    if kind.startswith("text/html") and (b"<script>alert" in answer.body or b"onerror=alert" in _tags(answer.body)):
        yield "markup was not escaped"
    location = answer.headers.get("Location", "/")
    if not location.startswith("/") or location.startswith("//"):
        yield f"redirects to another host, {location[:80]}"


def _is_end_of_job(problem: dict[str, object]) -> bool:
    """Return whether the problem is the end of a job, which OpenAI's route answers; some jobs here fail on purpose."""
    kind = KINDS.get(str(problem.get("code")))
    return kind is not None and kind.status == 0


def _tags(body: bytes) -> bytes:
    """Return the text inside of tags and outside of quotes."""
    return b"".join(part for tag in body.split(b"<")[1:] for part in tag.partition(b">")[0].split(b'"')[::2])


def _problem(answer: Answer) -> dict[str, object]:
    try:
        found = json.loads(answer.body)
    except ValueError:
        return {}
    if not isinstance(found, dict):
        return {}
    error = found.get("error")
    return error if isinstance(error, dict) and answer.status >= 400 else found
