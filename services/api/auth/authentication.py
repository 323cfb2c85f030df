"""Finds the caller of a request: by the key in its header, by its session's cookie, or without either with keys off."""

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.requests import Request

from services.api.auth.caller import Caller
from services.api.auth.client_address import TrustedProxies, party_of
from services.api.auth.keys import PREFIX, ApiKey, KeyRing, Role
from services.api.auth.refusal import RequestRefused
from services.api.auth.same_origin import foreign_sender
from services.api.auth.sessions import Sessions
from services.api.auth.visitor import Visitors
from services.common.network.addresses import host_of, is_loopback

_READING: Final = ("GET", "HEAD")
# Headers that nginx, Caddy, Traefik, Azure, IIS, Cloudflare, ngrok and Envoy add, by name or by its beginning.
_MARKS: Final = ("forwarded", "via", "x-real-ip", "x-client-ip", "true-client-ip", "cdn-loop", "x-appgw-trace-id")
_MARKED: Final = ("x-forwarded-", "x-original-", "cf-", "x-arr-", "x-azure-", "x-envoy-")
_FOREIGN_SCHEMES: Final = ("basic", "digest", "negotiate", "ntlm")
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
        listed = False
        if self.keyring is None:
            caller, listed = self._without_key(request), request.headers.get("origin") in self.others
        elif given is not None and (key := self.keyring.find(_bearer(given))):
            return _holder(key)  # no browser sends this header by itself
        # Proxies in front authenticate people by this header as well, and pass on what they read there.
        elif (session := self.sessions.key_of(request, self.keyring)) and not _bearer(given or "").startswith(PREFIX):
            caller = _holder(session)  # a page of a listed site has a key of its own, and no part in this cookie
        else:
            raise _unknown(given)
        if request.method not in _READING and not listed and (detail := foreign_sender(request, self.public_url)):
            raise RequestRefused("other-origin", f"this request changes something, and {detail}")
        return caller

    def _without_key(self, request: Request[Any]) -> Caller:
        sender, owner = self.proxies.sender(request.scope), self.visitors.owner_of(request)
        address = sender.address
        local, name = address is not None and address.is_loopback, _hostname(request)
        # Another site may point a name of its own at this machine (DNS rebinding). A browser here then sends that name
        # as Host, and any other header the site likes.
        if local and _may_be_registered(name) and name != self._public_name():
            detail = (
                f"this gateway does not answer to the name {name[:100]}: if that is its own, set STUDIO_PUBLIC_URL to "
                f"the address that browsers use, such as https://{name[:100]}"
            )
            raise RequestRefused("other-origin", detail)
        # A proxy on this machine that is not listed as trusted forwards requests of other machines. One that passes
        # the public name on shows itself by that alone: HAProxy adds no header unless it is told to.
        near = local and not _by_proxy(request) and (name != self._public_name() or is_loopback(name))
        # Other machines are counted by address: a client gets a new visitor cookie as often as it asks for one.
        party = owner if near and owner else party_of(address)
        return Caller(owner, party, trusted=near, operator=near and is_loopback(name), shared=sender.forwards)

    def _public_name(self) -> str | None:
        return urlsplit(self.public_url or "").hostname


def _holder(key: ApiKey) -> Caller:
    return Caller(key.owner, key.owner, key, operator=key.role is Role.OPERATOR)


def _unknown(given: str | None) -> RequestRefused:
    challenge = _CHALLENGE
    if given is None:
        detail = "send `Authorization: Bearer KEY`; a key anywhere else, such as in the URL, is not read"
    elif (scheme := given.partition(" ")[0].lower()) in _FOREIGN_SCHEMES:
        detail = (
            f"the Authorization header has credentials of the scheme {scheme.title()}, perhaps those of a proxy in "
            "front, which has to take them off; send `Authorization: Bearer KEY`, or sign in on the page"
        )
    else:
        challenge += ', error="invalid_token"'
        detail = (
            "this gateway does not know the key in the Authorization header: check that all of `Bearer KEY` is there "
            "and that the proxy in front passes it on, or ask the operator for a key"
        )
    return RequestRefused("unauthenticated", detail, {"WWW-Authenticate": challenge})


def _by_proxy(request: Request[Any]) -> bool:
    """True if a proxy passed the request on: by its headers, or as HTTP/1.0, which nginx speaks up to 1.29.6.

    A browser's page that has another name than the request shows one that sends no headers.
    """
    marked = any(name in _MARKS or name.startswith(_MARKED) for name in request.headers)
    page = host_of(request.headers.get("origin", ""))
    return marked or request.scope.get("http_version") == "1.0" or page not in ("", _hostname(request))


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
    return host_of(f"//{request.headers.get('host', '')}")
