"""The Idempotency-Key header (draft-ietf-httpapi-idempotency-key-header-07)."""

import re
from typing import Any, Final

from starlette.requests import Request

from services.api.auth.refusal import RequestRefused

MAX_LENGTH: Final = 255
# A Structured Field String (RFC 9651, section 3.3.3); many clients leave the quotes out.
_QUOTED = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*)"')
_BARE = re.compile(r"[!#-~][!-~]*")
# Both forms in one pattern, for the documentation.
PATTERN: Final = rf'^([!#-~][!-~]{{0,{MAX_LENGTH - 1}}}|"([ !#-\[\]-~]|\\["\\]){{1,{MAX_LENGTH}}}")$'


def idempotency_key(request: Request[Any]) -> str | None:
    """Return the key, sent quoted or bare; None without the header. Raises RequestRefused for an invalid key."""
    given = request.headers.getlist("Idempotency-Key")
    if not given:
        return None
    text = given[0].strip()
    if quoted := _QUOTED.fullmatch(text):
        key = re.sub(r'\\(["\\])', r"\1", quoted.group(1))
    else:
        key = text if _BARE.fullmatch(text) else ""
    if len(given) > 1 or not 1 <= len(key) <= MAX_LENGTH:
        got = "the header is there twice" if len(given) > 1 else f"{text[:40]!r} is no key"
        raise RequestRefused(
            "invalid-idempotency-key",
            f"{got}: send one of 1 to {MAX_LENGTH} printable ASCII characters, in double quotes",
        )
    return key
