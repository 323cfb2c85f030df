"""The table of headers that have a meaning in this API."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from services.api.http.requests.idempotency import PATTERN

MOST_HEADERS: Final = 100  # of a request, as in Apache; browsers behind several proxies send about 40


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
        "`wait=N` waits up to N seconds (30 at most) for the job to end, `respond-async` does not wait. "
        "Unknown preferences are ignored (RFC 7240).",
        {"type": "string"},
    ),
    "If-None-Match": HeaderField("An ETag from before: 304 if it is still current.", {"type": "string"}),
    "Range": HeaderField(
        "The part wanted, as in `bytes=0-1023`, `bytes=1024-` or `bytes=-1024`. One range: several are answered with "
        "the whole file (RFC 9110, section 14.2).",
        {"type": "string", "examples": ["bytes=0-1023"]},
    ),
    "If-Range": HeaderField(
        "The ETag of the file that the client has a part of: another file is answered whole. It must be a strong one.",
        {"type": "string"},
    ),
}

RESPONSE_HEADERS: Final[Mapping[str, HeaderField]] = {
    "Location": HeaderField("The URL of the job.", {"type": "string", "format": "uri-reference"}),
    "Retry-After": HeaderField(
        "Seconds until the next try is useful. A job has it until it is over.", {"type": "integer", "minimum": 1}
    ),
    "RateLimit-Policy": HeaderField(
        "How many submits (`q`) in how many seconds (`w`) are allowed; absent for a caller without limit "
        "(draft-ietf-httpapi-ratelimit-headers).",
        {"type": "string"},
    ),
    "RateLimit": HeaderField(
        "How many submits are left (`r`), and in how many seconds the count starts anew (`t`).", {"type": "string"}
    ),
    "ETag": HeaderField("Changes with the content.", {"type": "string", "pattern": '^(W/)?"[0-9a-z-]+"$'}),
    "Accept-Ranges": HeaderField("Parts of the file can be had by `Range`.", {"type": "string", "const": "bytes"}),
    "Content-Range": HeaderField(
        "The first and the last byte of this part, or `*` where there is none, and the bytes of the whole file.",
        {"type": "string", "pattern": r"^bytes ([0-9]+-[0-9]+|\*)/[0-9]+$"},
    ),
    "Preference-Applied": HeaderField("The preferences of `Prefer` that were applied.", {"type": "string"}),
    "Idempotency-Replayed": HeaderField(
        "The job was made by an earlier request with this key.", {"type": "string", "const": "true"}
    ),
    "WWW-Authenticate": HeaderField("How to authenticate.", {"type": "string"}),
    "Content-Disposition": HeaderField("A name to save the file under.", {"type": "string"}),
    "X-Job-Id": HeaderField("The job behind it: poll, cancel or remove it like any other.", {"type": "string"}),
    "x-should-retry": HeaderField("Stops OpenAI's clients from making a second job.", {"type": "string"}),
}
