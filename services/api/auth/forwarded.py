"""Reads the addresses that proxies write into X-Forwarded-For and Forwarded, in every form that they use."""

import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final

from starlette.datastructures import Headers

Address = IPv4Address | IPv6Address

# Azure and IIS add the port of the caller, and square brackets to an IPv6 address; RFC 7239 allows a name as port.
_NODE: Final = re.compile(r"\[([^\]]*)\](?::[\w.-]*)?|([0-9.]+):[\w.-]*|(.*)", re.DOTALL)
_MOST: Final = 50  # proxies in a row, the nearest ones, whose entries are read
_LONGEST: Final = 100  # characters; the longest address with its zone and port is shorter
# Both read each character once, whatever a stranger sends: no part gives back what it took, and a quotation without an
# end takes all the rest.
_ELEMENT: Final = re.compile(r'(?:[^",]|"(?:[^"\\]|\\.)*+(?:"|\\?\Z))++', re.DOTALL)
_PAIR: Final = re.compile(r"""\s*+([\w!#$%&'*+.^`|~-]++)\s*+=\s*+("(?:[^"\\]|\\.)*+"\s*+|[^;"]*+)(?:;|\Z)""", re.DOTALL)
_TRANSLATED: Final = IPv6Network("64:ff9b::/96")  # RFC 6052: callers by IPv4, where a network speaks IPv6 only


def forwarded_addresses(headers: Headers) -> list[Address | None]:
    """Return the addresses in the order of the proxies; None for an entry without one, such as `unknown`.

    The last entry is the nearest proxy's. X-Forwarded-For counts where it is given, since most proxies write it and
    pass a client's Forwarded on unread.
    """
    listed = [entry.strip() for line in headers.getlist("x-forwarded-for") for entry in line.split(",")]
    if any(listed):
        return [address_of(entry[:_LONGEST]) for entry in [*filter(None, listed)][-_MOST:]]
    elements = [element for line in headers.getlist("forwarded") for element in _ELEMENT.findall(line)]
    return [address_of(_for(element)[:_LONGEST]) for element in elements[-_MOST:] if element.strip()]


def forwarded_hosts(headers: Headers) -> list[str]:
    """Return the host names, with their ports, under which proxies say that a client asked."""
    named = [line for name in ("x-forwarded-host", "x-original-host") for line in headers.getlist(name)]
    elements = [element for line in headers.getlist("forwarded") for element in _ELEMENT.findall(line)]
    hosts = [host.strip() for line in named for host in line.split(",")]
    return [host for host in [*hosts, *(_pairs(element).get("host", "") for element in elements)] if host]


@lru_cache(maxsize=1_000)  # the same peers send most requests
def address_of(text: str) -> Address | None:
    """Return the address without brackets, port and zone; None for a text that holds none."""
    found = _NODE.fullmatch(text.strip().strip('"'))
    host = next(filter(None, found.groups()), "") if found else ""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return _as_ipv4(address) if isinstance(address, IPv6Address) else address


def _as_ipv4(address: IPv6Address) -> Address:
    """Return the IPv4 address that a socket or a translator has put into an IPv6 one, else the address itself."""
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    inner = IPv4Address(int(address) & 0xFFFF_FFFF)
    # RFC 6052, section 3.1: none of this machine is translated, so a caller must not pass for one.
    return inner if address in _TRANSLATED and not inner.is_loopback else address


def _for(element: str) -> str:
    return _pairs(element).get("for") or "unknown"


def _pairs(element: str) -> dict[str, str]:
    """Return the parameters of one element of Forwarded by their names in small letters; empty for a broken one."""
    pairs: dict[str, str] = {}
    position = 0
    while position < len(element):
        pair = _PAIR.match(element, position)
        if pair is None:
            return {}
        pairs[pair[1].lower()] = pair[2].strip().strip('"')
        position = pair.end()
    return pairs
