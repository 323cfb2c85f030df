"""Addresses: of listeners and how they prove to be ours, of this machine, and of files as URLs and as paths."""

import json
import os
import re
import socket
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, parse_qs, quote, unquote_to_bytes, urlsplit

GATEWAY: Final = "studio-gateway"  # also the names of the two services in traces
WORKER: Final = "studio-worker"

_LOOPBACK: Final = {4: "127.0.0.1", 6: "::1"}

_VARIABLE: Final = re.compile(r"\$\{?(\w+)\}?")
_BUCKET: Final = re.compile(r"[\w.-]{3,63}", re.ASCII)
_WORDS: Final = {"endpoint", "region"}  # after the bucket


def http_url(host: str, port: int) -> str:
    """Return the URL at which a server bound to this host and port answers on this machine; `host` may be IPv6."""
    address = _address(host)
    if address is not None and address.is_unspecified:
        host = _LOOPBACK[address.version if _has_ipv6_loopback() else 4]
    elif isinstance(address, IPv4Address):
        host = str(address)  # perhaps of an IPv6 socket, which writes it ::ffff:192.0.2.1
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


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
    address = _address(host)
    return host.lower().removesuffix(".") == "localhost" if address is None else address.is_loopback


def _address(host: str) -> IPv4Address | IPv6Address | None:
    """Return the address, the IPv4 one of ::ffff:192.0.2.1; None for a name."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _has_ipv6_loopback() -> bool:
    """Return whether this machine has ::1: many containers do not, and there :: stands for IPv4 alone."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind((_LOOPBACK[6], 0))
    except OSError:
        return False
    return True


def share_address(host: str, other: str) -> bool:
    """Return whether listeners on the two cannot have the same port."""
    return host == other or any(address and address.is_unspecified for address in (_address(host), _address(other)))


def host_of(url: str) -> str:
    """Return the host in a URL, in small letters; empty where there is none, or none that can be read."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def expanded(path: Path) -> Path:
    """Return the path with `~` and `$HOME` filled in, as a shell does for what is not read from a file.

    Raises ValueError for the home of a user who is not known, and for a variable that is not set.
    """
    filled = os.path.expandvars(path)
    if left := _VARIABLE.search(filled):
        raise ValueError(f"got {str(path)!r}, and there is no variable {left[1]}: set it, or write the path without it")
    try:
        return Path(filled).expanduser()
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
            _check_path(url, parts)
        elif parts.scheme == "s3":
            _check_bucket(url, parts)
        elif not parts.hostname:
            raise ValueError(f"got {shown!r}, which names no host: write {parts.scheme}://HOST:PORT/ with its host")
        elif parts.scheme in ("redis", "rediss") and not re.fullmatch(r"/?\d*/?", parts.path):
            raise ValueError(f"got {shown!r}; the path of this URL is the number of a database, such as /0")
        return url

    return check


def _check_path(url: str, parts: SplitResult) -> None:
    shown = without_password(url)
    if parts.query or parts.fragment or url.endswith(("?", "#")):
        raise ValueError(f"got {shown!r}; in the path of a URL ? is written %3F and # is written %23")
    if parts.netloc or not local_path(url).name:
        ways = f"{parts.scheme}:///relative/path and {parts.scheme}:////absolute/path"
        raise ValueError(f"got {shown!r}; allowed are {ways}")


def _check_bucket(url: str, parts: SplitResult) -> None:
    """Raise ValueError for what would not be read: a folder in the bucket, a word that is misspelt, no endpoint."""
    names, endpoint = parse_qs(parts.query).keys(), s3_endpoint(url)
    try:
        web_url(endpoint or "https://example.com")
        whole = _BUCKET.fullmatch(parts.netloc) and parts.path in ("", "/") and names <= _WORDS and not parts.fragment
    except ValueError:
        whole = False
    if not whole:
        allowed = "s3://BUCKET?endpoint=http://HOST:PORT&region=NAME, or s3://BUCKET for Amazon's, 3 to 63 characters"
        raise ValueError(f"got {without_password(url)!r}; allowed is {allowed}")


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
