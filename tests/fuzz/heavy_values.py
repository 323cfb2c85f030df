"""Heavy bodies, headers and queries: each is of one kind, and as large as a request may be."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

Kinds = Mapping[str, Callable[[], str]]

BODY_BYTES: Final = 1_490_000  # below the default of STUDIO_MAX_BODY_BYTES
HEAD_BYTES: Final = 30_000  # below the limit of a head, with room for the other lines
KNOWN: Final = ("prompt", "steps", "guidance", "negative_prompt", "num_images", "reproducibility", "width", "style")
WIDE: Final = "\U0001f3fa"  # four bytes, twelve as an escape


def repeated(unit: str, size: int, before: str = "", after: str = "") -> str:
    """Return the unit as often as it fits into so many bytes between the two ends."""
    room = size - len(before.encode()) - len(after.encode())
    return before + unit * (room // len(unit.encode())) + after


def counted(template: str, size: int, before: str = "", after: str = "") -> str:
    """Return the template with 0, 1, 2, ... in place of its `#` until so many bytes are full."""
    made, length, number = [before], len(before) + len(after), 0
    while length < size:
        unit = template.replace("#", str(number))
        made.append(unit)
        length += len(unit.encode())
        number += 1
    return "".join(made[:-1]) + after


def misspelt(number: int) -> str:
    """Return a name that is nearly one of a field: its letters in another order, with a few more."""
    name = KNOWN[number % len(KNOWN)]
    at = 1 + number % (len(name) - 2)
    return f"{name[:at]}{name[at + 1]}{name[at]}{name[at + 2 :]}{'_' * (number // len(KNOWN))}"


def json_bodies(size: int = BODY_BYTES) -> Kinds:
    """Return what makes the bodies, by kind. Most are JSON."""
    begin = '{"prompt":"a mug"'
    nested = "[" * 400 + "]" * 400
    long_digits, long_names = "9" * 4000, WIDE * 60
    return {
        "unknown members": partial(counted, ',"k#":1', size, begin, "}"),
        "members of null": partial(counted, ',"k#":null', size, begin, "}"),
        "misspelt members": lambda: begin + "".join(f',"{misspelt(number)}":1' for number in range(900)) + "}",
        "long names": partial(counted, f',"#{long_names}":"{long_names}"', size, begin, "}"),
        "names of slashes": partial(counted, f',"#{"~/" * 500}":1', size, begin, "}"),
        "one long name": partial(repeated, WIDE, size, begin + ',"', '":1}'),
        "members twice": partial(repeated, ',"prompt":"a"', size, begin, "}"),
        "unknown members twice": partial(repeated, ',"k":1', size, begin, "}"),
        "list of lists": partial(repeated, "[],", size, '{"prompt":[', "[]]}"),
        "list of objects": partial(repeated, "{},", size, '{"prompt":[', "{}]}"),
        "list of members": partial(repeated, '{"a":1},', size, '{"prompt":[', "{}]}"),
        "list of floats": partial(repeated, "1.0,", size, '{"prompt":[', "1]}"),
        "list of powers": partial(repeated, "1e5,", size, '{"model":[', "1]}"),
        "list of long numbers": partial(repeated, f"{long_digits},", size, '{"model":[', "1]}"),
        "list of texts": partial(repeated, '"",', size, '{"prompt":[', '""]}'),
        "top-level list": partial(repeated, "0,", size, "[", "0]"),
        "open lists": lambda: "[" * size,
        "open objects": partial(repeated, '{"a":', size),
        "nested lists": partial(repeated, f"{nested},", size, '{"style":[', "0]}"),
        "long number": partial(repeated, "9", size, '{"seed":', "}"),
        "long fraction": partial(repeated, "1", size, '{"guidance":0.', "}"),
        "long power": partial(repeated, "1", size, '{"guidance":1e', "}"),
        "long numbers": lambda: "{" + ",".join(f'"{name}":{long_digits}' for name in KNOWN) + "}",
        "long text": partial(repeated, "a", size, '{"prompt":"', '"}'),
        "long wide text": partial(repeated, WIDE, size, '{"prompt":"', '"}'),
        "text of escapes": partial(repeated, "\\u0041", size, '{"prompt":"', '"}'),
        "text of backslashes": partial(repeated, "\\\\", size, '{"prompt":"', '"}'),
        "text of quotes": partial(repeated, '\\"', size, '{"prompt":"', '"}'),
        "text of commas": partial(repeated, ",[{", size, '{"prompt":"', '"}'),
        "text of surrogates": partial(repeated, "\\ud83c\\udffa", size, '{"prompt":"', '\\ud800"}'),
        "text of marks": partial(repeated, "e\u0301\u0323", size, '{"prompt":"', '"}'),
        "invisible text": partial(repeated, "\u200b", size, '{"prompt":"', '"}'),
        "letters that grow": partial(repeated, "\u0130\u00df", size, '{"prompt":"a","', '":1}'),
        "long model": partial(repeated, WIDE, size, '{"prompt":"a","model":"', '"}'),
        "long look": partial(repeated, WIDE, size, '{"prompt":"a","style":"', '"}'),
        "long user": partial(repeated, WIDE, size, '{"prompt":"a","user":"', '"}'),
        "all fields long": lambda: "{" + ",".join(f'"{name}":"{WIDE * (size // 40)}"' for name in KNOWN) + "}",
        "blanks": partial(repeated, " ", size, "", begin + "}"),
        "no end": partial(counted, ',"k#":"', size, begin),
        "no JSON at all": partial(repeated, "<p>,[{</p>\n", size),
    }


def forms(size: int = BODY_BYTES) -> Kinds:
    """Return what makes the bodies of forms, by kind."""
    escaped = "'" * 60
    return {
        "many fields": partial(counted, "&k#=1", size, "prompt=mug"),
        "one field often": partial(repeated, "&prompt=mug", size, "prompt=mug"),
        "ampersands": partial(repeated, "&", size, "prompt=mug"),
        "semicolons": partial(repeated, ";", size, "prompt=mug"),
        "names alone": partial(repeated, "&a", size, "prompt=mug"),
        "long field": partial(repeated, "'", size, "prompt="),
        "long field of escapes": partial(repeated, "%27", size, "prompt="),
        "long wide field": partial(repeated, WIDE, size, "prompt="),
        "fields of quotes": lambda: "&".join(
            f"{name}={repeated(escaped, size // 12)}" for name in ("prompt", "next", "key", *KNOWN)
        ),
        "long name": partial(repeated, "k", size, "prompt=mug&", "=1"),
        "long token": partial(repeated, "t", size, "prompt=mug&token="),
        "long size": partial(repeated, "9", size, "prompt=mug&size=", "x9"),
        "long seed": partial(repeated, "9", size, "prompt=mug&seed="),
    }


def multiparts(size: int = BODY_BYTES) -> Kinds:
    """Return what makes the bodies of multipart forms with the boundary `b`, by kind."""
    disposition = 'Content-Disposition: form-data; name="prompt"'
    part = f"--b\r\n{disposition}\r\n\r\nmug\r\n"
    return {
        "many parts": partial(repeated, part, size, "", "--b--\r\n"),
        "long part": partial(repeated, "'", size, f"--b\r\n{disposition}\r\n\r\n", "\r\n--b--\r\n"),
        "part of dashes": partial(repeated, "\r\n--", size, f"--b\r\n{disposition}\r\n\r\n", "\r\n--b--\r\n"),
        "long header": partial(repeated, "a", size, f"--b\r\n{disposition}\r\nX: ", "\r\n\r\nmug\r\n--b--\r\n"),
        "many headers": partial(repeated, "X: a\r\n", size, f"--b\r\n{disposition}\r\n", "\r\nmug\r\n--b--\r\n"),
        "many parameters": partial(repeated, ";", size, f"--b\r\n{disposition}", "\r\n\r\nmug\r\n--b--\r\n"),
        "text before": partial(repeated, "-", size, "", part + "--b--\r\n"),
        "text behind": partial(repeated, "-", size, part + "--b--\r\n"),
        "no boundary": partial(repeated, "a\r\n", size),
    }


LISTS: Final = (
    *("Accept", "Accept-Language", "Prefer", "If-None-Match", "X-Forwarded-For", "X-Forwarded-Host", "Forwarded"),
    *("X-Forwarded-Prefix", "X-Forwarded-Port", "Connection", "Content-Type", "TE", "Via"),
)
TEXTS: Final = (
    *("Authorization", "Cookie", "Origin", "Referer", "Idempotency-Key", "Range", "X-Request-Id", "Sec-Fetch-Site"),
    *("X-Original-Url", "X-Script-Name", "traceparent", "tracestate", "Content-Encoding", "User-Agent"),
    *("x-stainless-retry-count", "Access-Control-Request-Method", "X-HTTP-Method-Override"),
)


def header_lines(size: int = HEAD_BYTES) -> Kinds:
    """Return what makes lines of headers, by kind."""
    made: dict[str, Callable[[], str]] = {
        "many headers": lambda: "\r\n".join(f"{number:x}: a" for number in range(size // 8)),
        "one header often": partial(repeated, "a:\r\n", size, "", "b:"),
        "many If-None-Match": partial(repeated, 'If-None-Match: "a"\r\n', size, "", "b:"),
        "many cookies": partial(counted, "a#=b;", size, "Cookie: "),
        "one cookie often": partial(repeated, "studio_visitor=a.b;", size, "Cookie: "),
        "cookies without a name": partial(repeated, ";", size, "Cookie: "),
        "quoted cookies": partial(repeated, 'a="\\101";', size, "Cookie: "),
        "cookie of quotes": partial(repeated, '\\"', size, 'Cookie: a="', '"'),
        "visitor": partial(repeated, "a.", size, "Cookie: studio_visitor="),
        "session": partial(repeated, "a.", size, "Cookie: studio_session="),
        "forwarded pairs": partial(counted, "for=10.0.0.#,", size, "Forwarded: "),
        "forwarded hosts": partial(counted, "host=a#,", size, "Origin: http://b\r\nForwarded: "),
        "forwarded parameters": partial(counted, "a#=b;", size, "Forwarded: "),
        "forwarded quotation": partial(repeated, '\\"', size, 'Forwarded: for="'),
        "forwarded addresses": partial(counted, "10.1.#,", size, "X-Forwarded-For: "),
        "forwarded IPv6": partial(counted, "fe80::#,", size, "X-Forwarded-For: "),
        "ranges": partial(repeated, "0-1,", size, "Range: bytes="),
        "weights": partial(repeated, "text/html;q=0.1,", size, "Accept: "),
        "waits": partial(repeated, "wait=0,", size, "Prefer: "),
        "key of escapes": partial(repeated, "\\\\", size, 'Idempotency-Key: "', '"'),
        "key without an end": partial(repeated, "\\\\", size, 'Idempotency-Key: "'),
        "parameters": partial(repeated, ";", size, "Content-Type: multipart/form-data"),
        "quoted parameters": partial(repeated, ';a="', size, "Content-Type: multipart/form-data"),
        "charsets": partial(repeated, "; charset=utf-8", size, "Content-Type: application/json"),
        "slashes of a prefix": partial(repeated, "/a,", size, "X-Forwarded-Prefix: "),
        "page of another site": partial(repeated, "a", size, "Origin: http://"),
        "host": partial(repeated, "a.", size, "Origin: http://a\r\nX-Forwarded-Host: "),
        "hosts and ports": lambda: (
            repeated("1,", size // 2, "Origin: http://b\r\nX-Forwarded-Port: ")
            + repeated("a,", size // 2, "\r\nX-Forwarded-Host: ")
        ),
    }
    made |= {f"commas in {name}": partial(repeated, ",", size, f"{name}: a") for name in LISTS}
    made |= {f"long {name}": partial(repeated, "a", size, f"{name}: ") for name in (*LISTS, *TEXTS)}
    return made | {f"high {name}": partial(repeated, "\u00e9", size, f"{name}: ") for name in TEXTS}


def queries(size: int = HEAD_BYTES) -> Kinds:
    """Return what makes the queries, by kind."""
    names = ("prompt", "model", "next", "seed", "cursor", "from", "owner", "format", "max_side", "at", "signature")
    made: dict[str, Callable[[], str]] = {
        "long page": lambda: "limit=100",
        "longest page": lambda: "limit=1000",
        "many parameters": partial(counted, "&k#=1", size, "a=1"),
        "one parameter often": partial(repeated, "&limit=1", size, "limit=1"),
        "ampersands": partial(repeated, "&", size, "a=1"),
        "semicolons": partial(repeated, ";a=1", size, "a=1"),
        "names alone": partial(repeated, "&a", size, "a"),
        "misspelt names": lambda: "&".join(f"{misspelt(number)}=1" for number in range(300)),
        "long name": partial(repeated, "%f0%9f%8f%ba", size, "", "=1"),
        "long names": partial(counted, f"&#{'%00' * 90}=1", size, "a=1"),
    }
    made |= {f"quotes in {name}": partial(repeated, "'", size, f"{name}=") for name in names}
    return made | {f"digits in {name}": partial(repeated, "9", size, f"{name}=") for name in ("limit", *names)}


def path_parts(size: int = HEAD_BYTES) -> Kinds:
    """Return what makes a part of a path, or what follows one, by kind."""
    return {
        "long": partial(repeated, "a", size),
        "wide": partial(repeated, "%f0%9f%8f%ba", size),
        "control characters": partial(repeated, "%00", size),
        "slashes": partial(repeated, "/", size, "a"),
        "parts": partial(repeated, "/v1/models", size, "a"),
        "dots": partial(repeated, "/..", size, "a"),
        "escaped slashes": partial(repeated, "%2f", size, "a"),
        "digits": partial(repeated, "9", size),
    }
