"""The headers that mean something in this API, each said once."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from services.api.http.idempotency import PATTERN


@dataclass(frozen=True)
class HeaderField:
    """`schema` is the JSON Schema of the header's text."""

    description: str
    schema: Mapping[str, Any]


REQUEST_HEADERS: Final[Mapping[str, HeaderField]] = {
    "Idempotency-Key": HeaderField(
        "Makes a repeat safe for 24 hours: the same key with the same body is the same job. In double quotes or bare.",
        {"type": "string", "pattern": PATTERN, "examples": ['"8e03978e-40d5-43e8-bc93-6894a57f9324"']},
    ),
    "Prefer": HeaderField(
        "`wait=N` waits up to N seconds (30 at most) for the job to be over, `respond-async` does not wait. "
        "What is not understood is ignored (RFC 7240).",
        {"type": "string"},
    ),
    "If-None-Match": HeaderField("The ETag one has: 304 if it is still the present one.", {"type": "string"}),
}

RESPONSE_HEADERS: Final[Mapping[str, HeaderField]] = {
    "Location": HeaderField("Where the job is.", {"type": "string", "format": "uri-reference"}),
    "Retry-After": HeaderField(
        "Seconds until it is worth asking again. On a job: there until it is over.", {"type": "integer", "minimum": 1}
    ),
    "RateLimit-Policy": HeaderField(
        "How many submits (`q`) in how many seconds (`w`) are allowed; not there for who is not limited "
        "(draft-ietf-httpapi-ratelimit-headers).",
        {"type": "string"},
    ),
    "RateLimit": HeaderField(
        "How many submits are left (`r`), and seconds until all are again (`t`).", {"type": "string"}
    ),
    "ETag": HeaderField("Changes with the content.", {"type": "string", "pattern": '^(W/)?"[0-9a-z-]+"$'}),
    "Preference-Applied": HeaderField("What of `Prefer` was done.", {"type": "string"}),
    "Idempotency-Replayed": HeaderField(
        "The job was made by an earlier request with this key.", {"type": "string", "const": "true"}
    ),
    "WWW-Authenticate": HeaderField("How to say who asks.", {"type": "string"}),
    "Content-Disposition": HeaderField("A name to save the file under.", {"type": "string"}),
    "X-Job-Id": HeaderField("The job underneath: poll, cancel or remove it as any other.", {"type": "string"}),
    "x-should-retry": HeaderField("Keeps OpenAI's clients from making a second job.", {"type": "string"}),
}
