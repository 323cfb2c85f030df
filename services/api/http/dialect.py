"""Tells the routes that OpenAI's clients call from our own: their errors have OpenAI's shape."""

from typing import Final

# The first part of the paths of https://platform.openai.com/docs/api-reference, served here or not.
_RESOURCES: Final = frozenset(
    [
        "assistants",
        "audio",
        "batches",
        "chat",
        "completions",
        "containers",
        "conversations",
        "embeddings",
        "engines",
        "evals",
        "files",
        "fine_tuning",
        "images",
        "models",
        "moderations",
        "realtime",
        "responses",
        "threads",
        "uploads",
        "vector_stores",
        "videos",
    ]
)


def speaks_openai(path: str) -> bool:
    """True for a path of OpenAI's API below /v1, without the base path."""
    parts = path.split("/")
    return parts[:2] == ["", "v1"] and len(parts) > 2 and parts[2] in _RESOURCES


def misses_version(path: str) -> bool:
    """True for a path of OpenAI's API with /v1 left out or given twice, as a wrong `base_url` makes it."""
    return speaks_openai(f"/v1{path}") or (path.startswith("/v1/v1/") and speaks_openai(path.removeprefix("/v1")))
