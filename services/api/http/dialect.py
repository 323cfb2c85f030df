"""Tells the routes that OpenAI's clients call from our own: their errors have OpenAI's shape."""

from itertools import pairwise
from typing import Final

# The first part of the paths that the package `openai` calls, in version 3.57, served here or not.
_RESOURCES: Final = frozenset(
    [
        "agents",
        "assistants",
        "audio",
        "batches",
        "chat",
        "chatkit",
        "completions",
        "containers",
        "content_provenance_checks",
        "conversations",
        "decisions",
        "embeddings",
        "engines",
        "evals",
        "files",
        "fine_tuning",
        "images",
        "live",
        "models",
        "moderations",
        "organization",
        "projects",
        "realtime",
        "responses",
        "safety",
        "skills",
        "threads",
        "uploads",
        "vaults",
        "vector_stores",
        "videos",
        "webhook_endpoints",
        "webhook_event_types",
    ]
)
_VERSION: Final = "v1"


def speaks_openai(path: str) -> bool:
    """True for a path of OpenAI's API below /v1, without the base path, however many slashes are between its parts."""
    return _is_openais(_parts(path))


def has_wrong_base(path: str) -> bool:
    """True for a path of OpenAI's API that is not right below /v1, as a wrong `base_url` makes it."""
    parts = _parts(path)
    return _is_openais([_VERSION, *parts]) or any(_is_openais([*pair]) for pair in pairwise(parts[1:]))


def _is_openais(parts: list[str]) -> bool:
    return parts[:1] == [_VERSION] and len(parts) > 1 and parts[1] in _RESOURCES


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part]
