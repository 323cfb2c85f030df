"""Addresses: the URL of a listener, why one cannot be listened on, and the check for this machine."""

import errno
import socket
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


def cannot_listen(failure: OSError, host: str, port: int, prefix: str) -> OSError:
    """Return the failure to listen on this address as a sentence that says what to do.

    `prefix` is that of the settings the address comes from, such as `STUDIO_` for STUDIO_HOST and STUDIO_PORT.
    """
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if isinstance(failure, socket.gaierror) or failure.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
        reason = f"this machine has no address {host!r}; set {prefix}HOST to one that it has, such as 127.0.0.1"
    elif failure.errno == errno.EADDRINUSE:
        reason = (
            f"the port is in use, perhaps by another `studio`; stop that program, or set {prefix}PORT to a free port"
        )
    elif failure.errno == errno.EACCES:
        reason = f"this user may not use the port; set {prefix}PORT to one above 1023"
    else:
        reason = f"{failure.strerror or failure}; check {prefix}HOST and {prefix}PORT"
    return OSError(f"cannot listen on {address}: {reason}")
