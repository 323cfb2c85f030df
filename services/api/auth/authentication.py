"""Who comes in: a key in the header, the cookie of somebody who signed in with one, or anybody while keys are off."""

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
_NOBODYS: Final = ("localhost", "test", "internal")  # reserved: nobody gets a name below these
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
        """Raises RequestRefused: `unauthenticated`, or `other-origin` for what may be sent by another site."""
        given = request.headers.get("authorization")
        if self.keyring is None:
            caller = self._anybody(request)
        elif given is None:
            caller = _known(self.sessions.key_of(request, self.keyring), given)
        else:
            return _known(self.keyring.find(_bearer(given)), given)  # no browser sends that by itself
        welcome = request.headers.get("origin") in self.others
        if request.method not in _READING and not welcome and not is_same_origin(request, self.public_url):
            raise RequestRefused("other-origin", "requests that change something are taken from our own pages only")
        return caller

    def _anybody(self, request: Request[Any]) -> Caller:
        address, owner = self.proxies.client(request.scope), self.visitors.owner_of(request)
        local, name = address is not None and address.is_loopback, _hostname(request)
        # A page from elsewhere may lead a browser of this machine here, by a name of its own (DNS rebinding), and send
        # whatever headers it likes, but for Host.
        if local and _may_be_anybodys(name) and name != self._public_name():
            raise RequestRefused("other-origin", "this gateway is not known by that name: see STUDIO_PUBLIC_URL")
        # A proxy of this machine that nobody named brings others here.
        near = local and not any(header in request.headers for header in _FORWARDED)
        # From elsewhere the address counts and not the visitor, who may become another one as often as he likes.
        party = owner if near and owner else party_of(address)
        return Caller(owner, party, trusted=near, operator=near and is_loopback(name))

    def _public_name(self) -> str | None:
        return urlsplit(self.public_url or "").hostname


def _known(key: ApiKey | None, given: str | None) -> Caller:
    if key is not None:
        return Caller(key.owner, key.owner, key, operator=key.role is Role.OPERATOR)
    if given is None:
        detail = "send `Authorization: Bearer KEY`; keys anywhere else, as in the URL, are not read"
        raise RequestRefused("unauthenticated", detail, {"WWW-Authenticate": _CHALLENGE})
    detail = "this key is not known here"
    raise RequestRefused("unauthenticated", detail, {"WWW-Authenticate": f'{_CHALLENGE}, error="invalid_token"'})


def _bearer(header: str) -> str:
    scheme, _, key = header.partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


def _may_be_anybodys(name: str) -> bool:
    """Whether a stranger can have this name in the DNS."""
    try:
        ip_address(name)
    except ValueError:
        return "." in name and name.rpartition(".")[2] not in _NOBODYS
    return False


def _hostname(request: Request[Any]) -> str:
    try:
        return urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
    except ValueError:
        return ""
