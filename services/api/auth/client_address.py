"""Finds the address a request comes from: its peer's, or the one that a trusted proxy forwards."""

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Final

import structlog
from starlette.datastructures import Headers
from starlette.types import Scope

from services.api.auth.forwarded import Address, address_of, forwarded_addresses

log = structlog.get_logger(__name__)

_SUBSCRIBER: Final = 64  # bits of an IPv6 address that tell one subscriber from another


@dataclass(frozen=True)
class Sender:
    """`address` is None without a peer address, as on a Unix socket.

    `forwards` is True if the request names further callers behind that address, which were not believed.
    """

    address: Address | None
    forwards: bool


class TrustedProxies:
    """`listed` are addresses and networks, separated by commas. Raises ValueError for a part that is neither."""

    def __init__(self, listed: str) -> None:
        self._networks = tuple(_network(part) for part in listed.replace(",", " ").split())
        self._told = False

    def client(self, scope: Scope) -> Address | None:
        """Return the address of `sender`."""
        return self.sender(scope).address

    def sender(self, scope: Scope) -> Sender:
        """Return the last address that is not a trusted proxy's.

        A client may write anything into X-Forwarded-For. So it is read from its end, which the nearest proxy wrote,
        and only for as long as each address there is a trusted proxy itself.
        """
        peer = address_of(scope["client"][0]) if scope.get("client") else None
        hops = forwarded_addresses(Headers(scope=scope))
        while peer is not None and hops and self._trusted(peer):
            before = hops.pop()
            if before is None:
                return Sender(peer, forwards=False)
            peer = before
        if hops and peer is not None and peer.is_private:
            self._tell(peer)
        return Sender(peer, forwards=bool(hops))

    def _trusted(self, address: Address) -> bool:
        return any(address in network for network in self._networks)

    def _tell(self, proxy: Address) -> None:
        """Log once that a proxy in the operator's own network may be missing in the setting."""
        if not self._told:
            self._told = True
            event = "callers behind this address share one limit; if it is a proxy, name it in the setting"
            log.warning(event, address=str(proxy), setting="STUDIO_TRUSTED_PROXIES")


def party_of(address: Address | None) -> str:
    """Return the party that limits count: an address, or the /64 of an IPv6 address.

    A provider gives each subscriber a /64 or more, so one person can send from 2^64 addresses. A link-local address
    counts whole: all machines of a link share its /64, and the link is the operator's own.
    """
    if isinstance(address, IPv6Address) and not address.is_link_local:
        return f"address:{IPv6Network((address, _SUBSCRIBER), strict=False).network_address}"
    return f"address:{address or 'none'}"


def _network(part: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(part)
    except ValueError as exc:
        expected = "give addresses and networks, such as 10.0.0.5 or 10.0.0.0/8, with commas"
        got = f"{part[:100]!r} is neither an address nor a network"
        raise ValueError(f"STUDIO_TRUSTED_PROXIES: {got}: {expected}") from exc
