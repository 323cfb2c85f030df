"""The path that prefixes all our paths, where the gateway shares a host name with other services."""

from urllib.parse import urlsplit


def base_path(public_url: str | None) -> str:
    """Return `/studio` for `https://example.org/studio/`; empty where the host name is ours alone."""
    return urlsplit(public_url or "").path.rstrip("/")
