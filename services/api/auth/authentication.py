"""Finds the caller of a request: by the key in its header, by its session's cookie, or without either with keys off."""

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.requests import Request

from services.api.auth.caller import Caller
from services.api.auth.client_address import TrustedProxies, party_of
from services.api.auth.keys import ApiKey, KeyRing, Role
from services.api.auth.refusal import RequestRefused
from services.api.auth.same_origin import is_same_origin
from services.api.auth.sessions import Sessions
from services.api.auth.visitor import Visitors
from services.common.addresses import is_loopback

_READING: Final = ("GET", "HEAD")
_FORWARDED: Final = ("forwarded", "via", "x-forwarded-for", "x-real-ip")
_RESERVED: Final = ("localhost", "test", "internal")  # no name below these can be registered
_CHALLENGE: Final = 'Bearer realm="studio"'


@dataclass(frozen=True)
class Authenticator:
    """`keyring` is None while keys are off."""

    keyring: KeyRing | None
    visitors: Visitors
    sessions: Sessions
    proxies: TrustedProxies
    public_url: str | None
    others: tuple[str, ...] = ()  # origins whose scripts may use the API

    def admit(self, request: Request[Any]) -> Caller:
        """Return the caller.

        Raises RequestRefused: `unauthenticated`, or `other-origin` for a request that another site may have sent.
        """
        given = request.headers.get("authorization")
        if self.keyring is None:
            caller = self._without_key(request)
        elif given is None:
            caller = _known(self.sessions.key_of(request, self.keyring), given)
        else:
            return _known(self.keyring.find(_bearer(given)), given)  # no browser sends this header by itself
        listed = request.headers.get("origin") in self.others
        if request.method not in _READING and not listed and not is_same_origin(request, self.public_url):
            detail = "browsers may send requests that change something from this gateway's own pages only"
            raise RequestRefused("other-origin", detail)
        return caller

    def _without_key(self, request: Request[Any]) -> Caller:
        address, owner = self.proxies.client(request.scope), self.visitors.owner_of(request)
        local, name = address is not None and address.is_loopback, _hostname(request)
        # Another site may point a name of its own at this machine (DNS rebinding). A browser here then sends that name
        # as Host, and any other header the site likes.
        if local and _may_be_registered(name) and name != self._public_name():
            detail = f"this gateway does not answer to the name {name[:100]}: set it in STUDIO_PUBLIC_URL if it should"
            raise RequestRefused("other-origin", detail)
        # A proxy on this machine that is not listed as trusted forwards requests of other machines.
        near = local and not any(header in request.headers for header in _FORWARDED)
        # Other machines are counted by address: a client gets a new visitor cookie as often as it asks for one.
        party = owner if near and owner else party_of(address)
        return Caller(owner, party, trusted=near, operator=near and is_loopback(name))

    def _public_name(self) -> str | None:
        return urlsplit(self.public_url or "").hostname


def _known(key: ApiKey | None, given: str | None) -> Caller:
    if key is not None:
        return Caller(key.owner, key.owner, key, operator=key.role is Role.OPERATOR)
    if given is None:
        detail = "send `Authorization: Bearer KEY`; a key anywhere else, such as in the URL, is not read"
        raise RequestRefused("unauthenticated", detail, {"WWW-Authenticate": _CHALLENGE})
    detail = "this gateway does not know this key: check that it is complete, or ask the operator for one"
    raise RequestRefused("unauthenticated", detail, {"WWW-Authenticate": f'{_CHALLENGE}, error="invalid_token"'})


def _bearer(header: str) -> str:
    scheme, _, key = header.partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


def _may_be_registered(name: str) -> bool:
    """True if anyone could register this name in the public DNS."""
    try:
        ip_address(name)
    except ValueError:
        return "." in name and name.rpartition(".")[2] not in _RESERVED
    return False


def _hostname(request: Request[Any]) -> str:
    try:
        return urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
    except ValueError:
        return ""
