"""Reads a JSON object from a request, stricter than `json`: it refuses texts that parsers read differently."""

import json
import math
from typing import Any, Final, NoReturn

from starlette.requests import Request

from services.api.auth.refusal import RequestRefused
from services.common.errors import InvalidRequest

# The problems that any endpoint with a JSON body may answer.
BODY_PROBLEMS: Final = (
    "bad-request",
    "malformed-json",
    "body-timeout",
    "body-too-large",
    "unsupported-media-type",
    "validation-error",
)
EXACT: Final = 2**53  # from here on some whole numbers share a float
MOST_VALUES: Final = 250  # of a body, those in lists and objects counted; no operation has a tenth as many fields
_DIGITS: Final = 1000  # of a whole number
_BEFORE_A_VALUE: Final = (b",", b"[", b"{")  # one of these stands before each value but the first
_KINDS: Final[dict[type, str]] = {
    list: "a list",
    str: "a text",
    int: "a number",
    float: "a number",
    bool: "true or false",
    type(None): "null",
}


async def read_json_object(request: Request[Any]) -> dict[str, Any]:
    """Read the body.

    Raises RequestRefused (media type, size, time, syntax), InvalidRequest (no object, no text, too many values).
    """
    _check_media_type(request)
    body = await request.body()
    if _has_many_values(body):
        detail = f"has more than {MOST_VALUES} values: send one flat object, with this operation's fields alone"
        raise InvalidRequest([{"pointer": "", "detail": detail}])
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise RequestRefused("malformed-json", f"the body is not UTF-8 at byte {exc.start}: JSON always is") from exc
    try:
        value = json.loads(
            text, parse_constant=_refuse, parse_float=_number, parse_int=_whole, object_pairs_hook=_unique
        )
    except ValueError as exc:
        reason = f"is no JSON: {exc}" if text.strip() else "is empty: send a JSON object"
        raise RequestRefused("malformed-json", f"the body {reason}") from exc
    if not isinstance(value, dict):
        raise InvalidRequest([{"pointer": "", "detail": f"must be a JSON object, not {_KINDS[type(value)]}"}])
    # An escape like \ud800 alone is valid JSON, but no text: nothing could store or print it.
    if "\\u" in text and _has_lone_surrogate(value):
        detail = "has a string with half of a surrogate pair, which is no text: send the whole character"
        raise InvalidRequest([{"pointer": "", "detail": detail}])
    return value


def _check_media_type(request: Request[Any]) -> None:
    given = request.headers.getlist("Content-Type")
    media_type, *parameters = [part.strip().lower() for part in ", ".join(given).split(";")]
    if media_type != "application/json" and not (
        media_type.startswith("application/") and media_type.endswith("+json")
    ):
        got = f"the Content-Type is {media_type[:80]!r}" if media_type else "there is no Content-Type"
        raise RequestRefused("unsupported-media-type", f"{got}: send the body as application/json")
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "charset" and value.strip().strip('"') not in ("utf-8", "utf8"):
            detail = f"the body's charset is {value.strip()[:40]}, and JSON is UTF-8: leave the charset out"
            raise RequestRefused("unsupported-media-type", detail)
    encoding = request.headers.get("Content-Encoding", "identity")
    if encoding.lower() != "identity":
        detail = f"the Content-Encoding is {encoding[:40]!r}: send the body as it is"
        raise RequestRefused("unsupported-media-type", detail)


def _has_many_values(body: bytes) -> bool:
    """Count the values without reading them, which for a megabyte of them would hold up every other request."""
    if _separators(body) < MOST_VALUES:
        return False
    plain = body.replace(b"\\\\", b"").replace(b'\\"', b"")  # now each quotation mark begins or ends a text
    outside = plain.split(b'"', 4 * MOST_VALUES)[::2]  # a value and its name have four marks at most
    return _separators(b"".join(outside)) >= MOST_VALUES


def _separators(text: bytes) -> int:
    return sum(text.count(mark) for mark in _BEFORE_A_VALUE)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _whole(text: str) -> int:
    if len(text) > _DIGITS:  # the time to read one grows with their square
        raise ValueError(f"{text[:40]}... is too large for a number")
    return int(text)


def _number(text: str) -> int | float:
    """Read 2.0 as the whole number 2 (JSON Schema 2020-12, section 4.2.3), as long as floats are exact."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is too large for a number")
    return int(number) if number.is_integer() and abs(number) < EXACT else number


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("an object names a member twice")
    return members


def _has_lone_surrogate(value: object) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False
