"""Visitors without a key: a signed cookie with a random name owns a browser's jobs. There are no accounts."""

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Any, Final

from itsdangerous import BadSignature, Signer
from starlette.requests import Request
from starlette.responses import Response

from services.api.auth.cookies import cookie_of

COOKIE: Final = "studio_visitor"
YEAR_SECONDS: Final = 365 * 24 * 3600
_SALT: Final = "studio-visitor"
_PREFIX: Final = "visitor:"


@dataclass(frozen=True)
class Visitors:
    """Reads and sets the cookie. With `secure` browsers send it over HTTPS only; they send it below `path` only."""

    secret: bytes = field(repr=False)
    secure: bool
    path: str

    def owner_of(self, request: Request[Any]) -> str | None:
        """Return the owner of this browser's jobs; None without a cookie, or with a forged one."""
        if (signed := cookie_of(request, COOKIE)) is None:
            return None
        try:
            return _owner(self._signer.unsign(signed).decode())
        except BadSignature:
            return None

    def newcomer(self, token: str) -> str:
        """Return the owner for a form's random token: the same for a form sent twice before the cookie was set."""
        return _owner(hmac.digest(self.secret, f"{_SALT}:{token}".encode(), hashlib.sha256).hex()[:32])

    def remember(self, response: Response, owner: str) -> None:
        """Make the browser send the cookie of this owner from now on, for a year after the last time."""
        value = self._signer.sign(owner.removeprefix(_PREFIX)).decode()
        response.set_cookie(
            COOKIE, value, max_age=YEAR_SECONDS, httponly=True, samesite="lax", secure=self.secure, path=self.path
        )

    @property
    def _signer(self) -> Signer:
        return Signer(self.secret, salt=_SALT, digest_method=hashlib.sha256)


def _owner(name: str) -> str:
    return _PREFIX + name
