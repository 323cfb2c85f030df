"""Sockets on all addresses that a host stands for, and what is told of an address that cannot be used."""

import asyncio
import errno
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

_ABSENT: Final = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
_TRIES: Final = 10  # to find a port that is free on all addresses
# Linux only. An accepted connection has them from its listener.
_SLOW_PEERS: Final = {
    "TCP_NOTSENT_LOWAT": 64 * 1024,  # bytes to buffer that are not sent: else a slow peer's progress shows in megabytes
    "TCP_USER_TIMEOUT": 30_000,  # milliseconds in which a peer takes nothing: its connection ends, even a closed one
}

Address = tuple[socket.AddressFamily, tuple[Any, ...]]


async def listeners(
    host: str, port: int, prefix: str, check: Callable[[str], None] = lambda _address: None
) -> list[socket.socket]:
    """Return a bound socket for each address of `host`. `check` is called with the addresses before they are bound.

    localhost usually stands for ::1 and 127.0.0.1, and clients may try one of them alone. An address that this machine
    lacks, as ::1 in many containers, is passed over if it has another. Port 0 picks one that is free on all addresses.
    Raises OSError saying what to do; `prefix` is that of the settings, such as `STUDIO_` for STUDIO_HOST.
    """
    try:
        addresses = await asyncio.to_thread(_addresses, host, port)
        for _, address in addresses:
            check(str(address[0]))
        return _bound_to_all(addresses, port)
    except UnicodeError as exc:  # a name that the Domain Name System does not allow
        raise cannot_listen(socket.gaierror(str(exc)), host, port, prefix) from exc
    except OSError as exc:
        raise cannot_listen(exc, host, port, prefix) from exc


def _addresses(host: str, port: int) -> list[Address]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return list(dict.fromkeys((family, address) for family, _, _, _, address in found))  # hosts files name some twice


def _bound_to_all(addresses: list[Address], port: int) -> list[socket.socket]:
    for tries_left in reversed(range(_TRIES)):
        try:
            return _bound_once(addresses)
        except OSError as exc:
            if port or exc.errno != errno.EADDRINUSE or not tries_left:
                raise
    return []


def _bound_once(addresses: list[Address]) -> list[socket.socket]:
    bound: list[socket.socket] = []
    absent: OSError | None = None
    try:
        for family, (host, port, *scope) in addresses:
            try:
                bound.append(_bound(family, (host, bound[0].getsockname()[1] if bound else port, *scope)))
            except OSError as exc:
                if exc.errno not in _ABSENT:
                    raise
                absent = exc
        if absent is not None and not bound:
            raise absent
    except OSError:
        for each in bound:
            each.close()
        raise
    return bound


def _bound(family: socket.AddressFamily, address: tuple[Any, ...]) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        for name, value in _SLOW_PEERS.items():
            if hasattr(socket, name):
                listener.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
        if family == socket.AF_INET6:
            with suppress(OSError):  # some systems have no sockets for both
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)  # :: is every IPv4 address as well
        listener.bind(address)
        listener.settimeout(0)
    except OSError:
        listener.close()
        raise
    return listener


def cannot_listen(failure: OSError, host: str, port: int, prefix: str) -> OSError:
    """Return the failure to listen on this address as a sentence that says what to do."""
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if isinstance(failure, socket.gaierror) or failure.errno in _ABSENT:
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
