"""A problem in the shape that OpenAI's clients read, for refusals that come before or outside of a handler."""

from collections.abc import Mapping
from typing import Any


def openai_shape(problem: Mapping[str, Any]) -> dict[str, Any]:
    """Return `{"error": {"message", "type", "param", "code"}}` for the members of a problem."""
    return {
        "error": {
            "message": problem["detail"],
            "type": "invalid_request_error" if problem["status"] < 500 else "server_error",
            "param": next((field_of(error) for error in problem.get("errors") or []), "") or None,
            "code": problem.get("code") or str(problem["status"]),
        }
    }


def field_of(error: Mapping[str, Any]) -> str:
    """Return the name of the field at fault; empty for the whole body."""
    first = str(error["pointer"]).removeprefix("/").partition("/")[0]
    return first.replace("~1", "/").replace("~0", "~")  # RFC 6901, section 4
