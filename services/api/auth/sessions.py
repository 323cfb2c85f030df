"""Sessions of people who signed in with a key: a signed cookie that names the key and the moment."""

import hashlib
import time
from dataclasses import dataclass, field
from typing import Any, Final

from itsdangerous import BadSignature, TimestampSigner
from starlette.requests import Request
from starlette.responses import Response

from services.api.auth.cookies import cookie_of
from services.api.auth.keys import ApiKey, KeyRing

COOKIE: Final = "studio_session"
SESSION_SECONDS: Final = 12 * 3600  # a working day; then the key is asked for again
# A session may seem to be opened later than now: the clock was set back, or that of another gateway goes ahead.
CLOCK_SECONDS: Final = 3600
_SALT: Final = "studio-session"


@dataclass(frozen=True)
class Sessions:
    """Opens, reads and closes sessions. Nothing is stored: every gateway that has the secret reads the cookie.

    With `secure` browsers send the cookie over HTTPS only; they send it to pages below `path` only.
    """

    secret: bytes = field(repr=False)
    secure: bool
    path: str

    def key_of(self, request: Request[Any], keyring: KeyRing) -> ApiKey | None:
        """Return the session's key; None without a cookie, with a forged or old one, and once the key is taken away."""
        try:
            digest, opened = self._signer.unsign(cookie_of(request, COOKIE) or "", return_timestamp=True)
        except BadSignature:
            return None
        if not -CLOCK_SECONDS < time.time() - opened.timestamp() <= SESSION_SECONDS:
            return None
        return keyring.kept(digest.decode("latin-1"))

    def open(self, response: Response, key: ApiKey) -> None:
        """Make the browser send the cookie from now on, until the session is over."""
        value = self._signer.sign(key.digest).decode()
        response.set_cookie(COOKIE, value, max_age=SESSION_SECONDS, **self._attributes)

    def close(self, response: Response) -> None:
        """Make the browser forget the cookie."""
        response.delete_cookie(COOKIE, **self._attributes)

    @property
    def _attributes(self) -> dict[str, Any]:
        return {"httponly": True, "samesite": "lax", "secure": self.secure, "path": self.path}

    @property
    def _signer(self) -> TimestampSigner:
        return TimestampSigner(self.secret, salt=_SALT, digest_method=hashlib.sha256)
