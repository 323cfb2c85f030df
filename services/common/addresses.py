"""URLs of what listens on an address, and who reaches it."""

from ipaddress import ip_address
from typing import Final
from urllib.parse import parse_qs, urlsplit

_EVERY: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - told apart, not bound  # nosec B104


def http_url(host: str, port: int) -> str:
    """Where something bound to this host and port answers on this machine; `host` may be an IPv6 address."""
    reachable = _EVERY.get(host, host)
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"


def s3_endpoint(url: str) -> str | None:
    """Return the server that `s3://BUCKET?endpoint=URL` names; None for Amazon's, and for other URLs."""
    return parse_qs(urlsplit(url).query).get("endpoint", [None])[0]


def is_loopback(host: str) -> bool:
    """Whether this address, or name, is of this machine alone."""
    try:
        return ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host == "localhost"
