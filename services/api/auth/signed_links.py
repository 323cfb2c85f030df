"""Links to artifacts that work by themselves for an hour: each carries its end and a signature, and needs no key."""

import hashlib
import hmac
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import time
from typing import Final
from urllib.parse import urlencode

LINK_SECONDS: Final = 3600
EXPIRES: Final = "expires"
SIGNATURE: Final = "signature"
_PURPOSE: Final = "studio-artifact-link"
_MOST_DIGITS: Final = 11  # of the end, in Unix seconds
_ANEW: Final = "fetch the artifact with a key, or ask for its images again"


@dataclass(frozen=True)
class SignedLinks:
    """Signs and checks links. Nothing is stored: every gateway that has the secret takes them."""

    secret: bytes = field(repr=False)

    def query(self, job_id: str, index: int) -> str:
        """Return the query of the URL of this one artifact, which ends after LINK_SECONDS."""
        expires = str(int(time()) + LINK_SECONDS)
        return urlencode({EXPIRES: expires, SIGNATURE: self._signature(job_id, index, expires)})

    def fault(self, job_id: str, index: int, expires: str, signature: str) -> str | None:
        """Return what is wrong with a link to this artifact; None for a good one. Its time depends on no secret."""
        right = self._signature(job_id, index, expires)
        if not hmac.compare_digest(right.encode(), signature.encode()):
            return f"the link is not one that was made for this artifact, or has been changed: {_ANEW}"
        if not (expires.isascii() and expires.isdigit() and len(expires) <= _MOST_DIGITS):
            return f"the link has no end: {_ANEW}"
        if int(expires) <= time():
            return f"the link ended at {datetime.fromtimestamp(int(expires), UTC):%Y-%m-%d %H:%M:%S} UTC: {_ANEW}"
        return None

    def _signature(self, job_id: str, index: int, expires: str) -> str:
        signed = f"{_PURPOSE}:{job_id}:{index}:{expires}".encode("utf-8", "replace")
        return hmac.digest(self.secret, signed, hashlib.sha256).hex()
