"""Addresses: of listeners and how they prove to be ours, of this machine, and of files as URLs and as paths."""

import errno
import json
import os
import re
import socket
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, parse_qs, quote, unquote_to_bytes, urlsplit

GATEWAY: Final = "studio-gateway"  # also the names of the two services in traces
WORKER: Final = "studio-worker"

_EVERY: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - told apart, not bound  # nosec B104


def http_url(host: str, port: int) -> str:
    """Return the URL at which a server bound to this host and port answers on this machine; `host` may be IPv6."""
    reachable = _EVERY.get(host, host)
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"


def is_ours(body: bytes, service: str) -> bool:
    """Return whether this body of /livez or /readyz names `service`: GATEWAY or WORKER.

    Any program may answer 200 on a port that was ours a moment ago, or that was mistyped.
    """
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return False
    return isinstance(told, dict) and told.get("service") == service


def s3_endpoint(url: str) -> str | None:
    """Return the server that `s3://BUCKET?endpoint=URL` names; None for Amazon's, and for other URLs."""
    return parse_qs(urlsplit(url).query).get("endpoint", [None])[0]


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach this address or name."""
    try:
        return ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host == "localhost"


def host_of(url: str) -> str:
    """Return the host in a URL, in small letters; empty where there is none, or none that can be read."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def expanded(path: Path) -> Path:
    """Return the path with `~` and `$HOME` filled in, as a shell does for what is not read from a file.

    Raises ValueError for the home of a user who is not known.
    """
    try:
        return Path(os.path.expandvars(path)).expanduser()
    except RuntimeError as exc:
        raise ValueError(f"got {str(path)!r}, and the home folder in it is not known: write a path without ~") from exc


def file_url(scheme: str, path: Path) -> str:
    """Return the URL that `local_path` turns back into this path, whatever characters it has."""
    return f"{scheme}:///{quote(os.fsencode(path))}"


def local_path(url: str) -> Path:
    """Return the path of `sqlite:///relative.db` or `sqlite:////absolute.db`, as SQLAlchemy spells them."""
    path = urlsplit(url).path.removeprefix("/")
    return expanded(Path(os.fsdecode(unquote_to_bytes(os.fsencode(path)))))


def without_password(url: str) -> str:
    """Return the URL to show to people."""
    before, at, after = url.rpartition("@")
    scheme, separator, _ = before.partition("://")
    return f"{scheme if separator else ''}{separator}***@{after}" if at else url


def store_url(*schemes: str) -> Callable[[str], str]:
    """Return a check for the URL of a store. It raises ValueError for another scheme and for a path that is no URL."""

    def check(url: str) -> str:
        parts, shown = _parts_of(url), without_password(url)
        if parts.scheme not in schemes:
            raise ValueError(f"got {shown!r}, which begins with none of {', '.join(f'{each}://' for each in schemes)}")
        if parts.scheme in ("sqlite", "file"):
            if parts.query or parts.fragment or url.endswith(("?", "#")):
                raise ValueError(f"got {shown!r}; in the path of a URL ? is written %3F and # is written %23")
            if parts.netloc or not local_path(url).name:
                ways = f"{parts.scheme}:///relative/path and {parts.scheme}:////absolute/path"
                raise ValueError(f"got {shown!r}; allowed are {ways}")
        return url

    return check


def web_url(url: str) -> str:
    """Return the URL if it is one of HTTP, without a query. Raises ValueError for another."""
    parts = _parts_of(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        shown = without_password(url)
        raise ValueError(f"got {shown!r}; allowed is a URL such as http://127.0.0.1:8000 or https://example.com")
    return url


def _parts_of(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises for what is no port
    except ValueError as exc:
        # Not the reason: it may quote a part of the password.
        raise ValueError(f"got {without_password(url)!r}, which is no URL: its host or port cannot be read") from exc
    return parts


def bare_host(host: str) -> str:
    """Return the address or host name. Raises ValueError for one with a scheme, a port or brackets."""
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        if not re.fullmatch(r"[\w.-]+", host):
            raise ValueError(f"got {host!r}; allowed is an address or a name alone, such as 0.0.0.0 or ::1") from None
    return host


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
