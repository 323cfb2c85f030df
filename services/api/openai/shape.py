"""A problem in the shape that OpenAI's clients read, for refusals that come before or outside of a handler."""

from collections.abc import Mapping
from typing import Any


def openai_shape(problem: Mapping[str, Any]) -> dict[str, Any]:
    """Return `{"error": {"message", "type", "param", "code"}}` for the members of a problem."""
    pointer = next((str(error["pointer"]) for error in problem.get("errors") or []), "")
    return {
        "error": {
            "message": problem["detail"],
            "type": "invalid_request_error" if problem["status"] < 500 else "server_error",
            "param": pointer.strip("/").partition("/")[0] or None,
            "code": problem.get("code") or str(problem["status"]),
        }
    }
