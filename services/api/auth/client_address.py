"""Finds the address a request comes from: its peer's, or the one that a trusted proxy forwards."""

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from starlette.datastructures import Headers
from starlette.types import Scope

_SUBSCRIBER: Final = 64  # bits of an IPv6 address that tell one subscriber from another

Address = IPv4Address | IPv6Address


class TrustedProxies:
    """`listed` are addresses and networks, separated by commas. Raises ValueError for a part that is neither."""

    def __init__(self, listed: str) -> None:
        self._networks = tuple(ip_network(part) for part in listed.replace(",", " ").split())

    def client(self, scope: Scope) -> Address | None:
        """Return the last address that is not a trusted proxy's; None without a peer address, as on a Unix socket.

        A client may write anything into X-Forwarded-For. So it is read from its end, which the nearest proxy wrote,
        and only for as long as each address there is a trusted proxy itself.
        """
        peer = _address(scope["client"][0]) if scope.get("client") else None
        hops = ",".join(Headers(scope=scope).getlist("x-forwarded-for")).split(",")
        while peer is not None and self._trusted(peer) and hops:
            before = _address(hops.pop().strip())
            if before is None:
                break
            peer = before
        return peer

    def _trusted(self, address: Address) -> bool:
        return any(address in network for network in self._networks)


def party_of(address: Address | None) -> str:
    """Return the party that limits count: an address, or the IPv6 network of one subscriber, who has 2^64 addresses."""
    if isinstance(address, IPv6Address):
        return f"address:{IPv6Network((address, _SUBSCRIBER), strict=False).network_address}"
    return f"address:{address or 'none'}"


@lru_cache(maxsize=1_000)  # the same peers send most requests
def _address(text: str) -> Address | None:
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address
