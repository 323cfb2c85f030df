"""The path below which all of ours lie, where the gateway shares a host name with others."""

from urllib.parse import urlsplit


def base_path(public_url: str | None) -> str:
    """`/studio` of `https://example.org/studio/`; empty where the host name is ours alone."""
    return urlsplit(public_url or "").path.rstrip("/")
