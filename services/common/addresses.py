"""Addresses: the URL of a listener, and the check for this machine."""

from ipaddress import ip_address
from typing import Final
from urllib.parse import parse_qs, urlsplit

_EVERY: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - told apart, not bound  # nosec B104


def http_url(host: str, port: int) -> str:
    """Return the URL at which a server bound to this host and port answers on this machine; `host` may be IPv6."""
    reachable = _EVERY.get(host, host)
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"


def s3_endpoint(url: str) -> str | None:
    """Return the server that `s3://BUCKET?endpoint=URL` names; None for Amazon's, and for other URLs."""
    return parse_qs(urlsplit(url).query).get("endpoint", [None])[0]


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach this address or name."""
    try:
        return ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host == "localhost"
