"""What is wrong with an answer, whatever was asked."""

import json
from collections.abc import Iterator
from typing import Final

from services.api.http.problems import KINDS, MEDIA_TYPE
from tests.fuzz.requests import MadeUp
from tests.support.live_server import Answer

INSIDES: Final = (b"Traceback", b"site-packages", b"/services/", b"sqlite3", b"pydantic_core")
# An id that looks as if it had been made before this store was: the store may have been emptied since.
EARNED: Final = ("status-rebuilding",)


def faults_of(request: MadeUp, answer: Answer) -> Iterator[str]:
    """One sentence each."""
    ours = "X-Request-Id" in answer.headers
    if answer.status == 0:
        if request.whole:
            yield "no answer"
        return
    if not ours and answer.status == 501 and not request.known_coding:
        return  # what RFC 9112, section 6.1, asks a server to say of a transfer coding it does not understand
    problem = _problem(answer)
    if answer.status >= 500 and problem.get("code") not in EARNED and not _is_end_of_job(problem):
        yield f"{answer.status}"
    if not ours and (answer.body or (request.whole and answer.status not in (400, 403, 431))):
        yield "answered by the server itself"
    if any(word in answer.body for word in INSIDES):
        yield "tells of our insides"
    if ours:
        yield from _wrong_headers(answer)
    if ours and answer.status >= 400 and request.target.startswith("/v1/") and request.method != "HEAD":
        if not problem or (answer.headers["Content-Type"] == MEDIA_TYPE and problem["status"] != answer.status):
            yield "no problem where one was due"
        elif problem.get("code") not in KINDS:
            yield f"unknown code {problem.get('code')}"


def _wrong_headers(answer: Answer) -> Iterator[str]:
    kind = answer.headers.get("Content-Type", "")
    if answer.headers.get("X-Content-Type-Options") != "nosniff" or "Content-Security-Policy" not in answer.headers:
        yield "lacks its security headers"
    if "Access-Control-Allow-Origin" in answer.headers or "Server" in answer.headers:
        yield "has a header nobody asked for"
    if kind.startswith("text/html") and (b"<script>alert" in answer.body or b"onerror=alert" in _tags(answer.body)):
        yield "markup was not escaped"
    location = answer.headers.get("Location", "/")
    if not location.startswith("/") or location.startswith("//"):
        yield f"leads away, to {location[:80]}"


def _is_end_of_job(problem: dict[str, object]) -> bool:
    """OpenAI's route answers with how the job ended, and here some are made to fail."""
    kind = KINDS.get(str(problem.get("code")))
    return kind is not None and kind.status == 0


def _tags(body: bytes) -> bytes:
    """What stands inside of tags, outside of quotes."""
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
