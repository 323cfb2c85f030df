"""The table of bad inputs; its numbers are the rows of the project's own list, less the features it does not have.

A code of None marks what the server refuses before the application sees it: that answer has no body.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tests.support.raw_http import chunked, get, head_only, job, post, raw

LIMIT = 20_000  # of the `live` fixture
NOT_ALLOWED = ("method-not-allowed", 405)
INVALID = ("validation-error", 422)
MALFORMED = ("malformed-json", 400)
ACCEPTED = ("", 202)
UNKNOWN_JOB = "01890a5d-ac96-774b-bcce-b302099a8057"


@dataclass(frozen=True)
class Row:
    number: int
    name: str
    request: tuple[bytes, ...]
    code: str | None
    status: int
    allow: str | None = None

    def __str__(self) -> str:
        return f"{self.number:02}-{self.name}"


def many(number: int, name: str, requests: list[tuple[bytes, ...]], code: str | None, status: int) -> list[Row]:
    return [Row(number, f"{name}-{index}", request, code, status) for index, request in enumerate(requests)]


def jobs(number: int, **values: Sequence[object]) -> list[Row]:
    """One refused value of one field a row."""
    return [
        Row(number, f"{field}={str(value)[:20]!r}", job(**{field: value}), *INVALID)
        for field, refused in values.items()
        for value in refused
    ]


JSON_ROWS = [
    Row(1, "empty-body", post(b""), *MALFORMED),
    Row(1, "no-length-no-body", head_only(), *MALFORMED),
    Row(2, "truncated", raw('{"prompt":'), *MALFORMED),
    *many(3, "top-level", [raw("[]"), raw('"x"'), raw("null"), raw("1")], *INVALID),
    *many(4, "duplicate-member", [raw('{"prompt":"a","prompt":"b"}')], *MALFORMED),
    *many(
        5,
        "not-a-number",
        [raw(f'{{"prompt":"a","guidance":{number}}}') for number in ("NaN", "Infinity", "-Infinity", "1e400")],
        *MALFORMED,
    ),
    Row(6, "lone-surrogate", raw('{"prompt":"\\ud800"}'), *INVALID),
    Row(6, "lone-surrogate-name", raw('{"prompt":"a","\\udfff":1}'), *INVALID),
    Row(6, "invalid-utf8", post(b'{"prompt":"\xff\xfe"}'), *MALFORMED),
    Row(6, "byte-order-mark", post(b'\xef\xbb\xbf{"prompt":"a"}'), *MALFORMED),
    Row(6, "utf16", post('{"prompt":"a"}'.encode("utf-16")), *MALFORMED),
    Row(8, "nested-lists", raw("[" * 9000), *INVALID),
    Row(8, "nested-objects", raw('{"prompt":' + '{"a":' * 3000 + "1" + "}" * 3001), *INVALID),
    Row(8, "nested-model", raw('{"prompt":"a","model":' + "[" * 500 + "]" * 500 + "}"), *INVALID),
    Row(8, "number-of-thousands-of-digits", raw('{"prompt":"a","seed":' + "9" * 5000 + "}"), *MALFORMED),
    Row(8, "number-of-a-thousand-digits", raw('{"prompt":"a","seed":' + "9" * 1000 + "}"), *INVALID),
    Row(8, "number-of-one-digit-more", raw('{"prompt":"a","seed":' + "9" * 1001 + "}"), *MALFORMED),
    Row(8, "number-of-hundreds-of-digits", raw('{"prompt":"a","guidance":' + "9" * 400 + "}"), *INVALID),
]

FIELD_ROWS = [
    *jobs(7, seed=[-1, 2**64, 1.5, "7", True]),
    *jobs(9, **{"steps ": [1], "__proto__": [1]}),
    Row(10, "prompt-missing", raw("{}"), *INVALID),
    *jobs(10, prompt=["", " \t\n", "\u200b", None, 1, ["a"]]),
    *jobs(11, prompt=["x" * 1001]),
    *many(
        13,
        "control-characters",
        [job(prompt=f"a mug {text}") for text in ("\0", "\x1b[31mred", "\r\nSet-Cookie: a")],
        *ACCEPTED,
    ),
    *many(
        14,
        "markup",
        [job(prompt=text) for text in ("<script>alert(1)</script>", '"><img src=x onerror=alert(1)>')],
        *ACCEPTED,
    ),
    *jobs(16, width=[0, -8, 7, 513, 10**9], height=[0, 10**9]),
    Row(17, "too-many-pixels", job(width=2048, height=2048), *INVALID),
    *jobs(18, steps=[0, 10**6], num_images=[0, 1000]),
    *jobs(19, guidance=[-1, 10**6]),
    *jobs(21, scheduler=["os.system"], lora=["os.system"], style=["os.system"], model=["os.system", ["os"], {}]),
    *jobs(41, files=[["x.png"]]),
    *jobs(48, image=["data:image/png;base64,%%%", "not base64"]),
    *jobs(
        49,
        image_url=["http://169.254.169.254/", "http://[::ffff:127.0.0.1]/", "file:///etc/passwd", "http://0x7f.1/"],
        webhook=["http://127.0.0.1:5672", "gopher://x", "http://user@host"],
    ),
]

BODY_ROWS = [
    *many(
        22,
        "media-type",
        [raw('{"prompt":"a"}', media_type) for media_type in (None, "text/plain", "application/xml", "json", "")],
        "unsupported-media-type",
        415,
    ),
    Row(22, "json-suffix-is-fine", raw('{"prompt":"a"}', "application/ld+json; charset=UTF-8; v=1"), *ACCEPTED),
    Row(23, "charset", raw('{"prompt":"a"}', "application/json; charset=utf-16"), "unsupported-media-type", 415),
    Row(23, "encoding", post(b"\x1f\x8b", "Content-Encoding: gzip"), "unsupported-media-type", 415),
    Row(24, "declared-too-large", head_only(f"Content-Length: {LIMIT + 1}"), "body-too-large", 413),
    Row(24, "declared-absurd", head_only(f"Content-Length: {'9' * 19}"), "body-too-large", 413),
    Row(25, "chunked-too-large", chunked(b" " * 40 * LIMIT), "body-too-large", 413),
    Row(25, "sent-too-large-where-nobody-reads", chunked(b" " * 40 * LIMIT, target="/nowhere"), "not-found", 404),
    *many(26, "length", [head_only("Content-Length: -5"), head_only("Content-Length: 1e3")], None, 400),
    Row(26, "two-lengths", head_only("Content-Length: 5", "Content-Length: 6"), None, 400),
    Row(26, "length-and-chunked", chunked(b"{}", "Content-Length: 2"), "bad-request", 400),
    Row(27, "body-never-comes", (*head_only("Content-Length: 10"), b"{"), "body-timeout", 408),
    Row(27, "chunk-never-comes", (*head_only("Transfer-Encoding: chunked"), b"5\r\n{"), "body-timeout", 408),
    Row(41, "multipart", raw("--b\r\n" * 1001, "multipart/form-data; boundary=b"), "unsupported-media-type", 415),
    Row(
        43,
        "multipart-file-name",
        raw('--b\r\nfilename="../../x.png"', "multipart/form-data"),
        "unsupported-media-type",
        415,
    ),
    Row(48, "hundred-megabytes", head_only("Content-Length: 104857600"), "body-too-large", 413),
]

HTTP_ROWS = [
    Row(29, "head-of-70-kB", get("/livez", f"X-Filler: {'x' * 70_000}"), None, 431),
    Row(30, "no-host", (b"GET /livez HTTP/1.1\r\n\r\n",), None, 400),
    Row(30, "two-hosts", (b"GET /livez HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",), None, 400),
    Row(31, "connect", (b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n",), *NOT_ALLOWED, allow="DELETE, GET, HEAD, POST"),
    Row(31, "trace", get("/nowhere", method="TRACE"), *NOT_ALLOWED, allow="DELETE, GET, HEAD, POST"),
    Row(31, "put", get("/v1/jobs", method="PUT"), *NOT_ALLOWED, allow="GET, HEAD, POST"),
    Row(31, "brew", get("/v1/jobs", method="BREW"), *NOT_ALLOWED, allow="GET, HEAD, POST"),
    Row(31, "several-routes", get(f"/v1/jobs/{UNKNOWN_JOB}", method="PATCH"), *NOT_ALLOWED, allow="DELETE, GET, HEAD"),
    Row(31, "post-a-file", get("/static/studio.css", method="POST"), *NOT_ALLOWED, allow="GET, HEAD"),
    *many(
        32,
        "traversal",
        [
            get(target)
            for target in (
                "/static/../../etc/passwd",
                "/static/%2e%2e%2f%2e%2e%2fetc/passwd",
                "/static//etc/passwd",
                "/static/%00",
                "/static/%ff",
                "//evil.example/",
                "/nowhere?" + "a" * 10_000,
                "/v1/jobs/",
                "/%0d%0aSet-Cookie:a",
            )
        ],
        "not-found",
        404,
    ),
    *many(
        34,
        "job-of-another",
        [get(f"/v1/jobs/{name}") for name in (UNKNOWN_JOB, "1", "%00", "%f0%9f")],
        "job-not-found",
        404,
    ),
    Row(34, "artifact-of-another", get(f"/v1/jobs/{UNKNOWN_JOB}/artifacts/{'9' * 5000}"), "job-not-found", 404),
    Row(36, "cancel-unknown", get(f"/v1/jobs/{UNKNOWN_JOB}/cancel", method="POST"), "job-not-found", 404),
    *many(
        40,
        "idempotency-key",
        [
            post(b'{"prompt":"a"}', header)
            for header in (
                f"Idempotency-Key: {'k' * 256}",
                'Idempotency-Key: ""',
                'Idempotency-Key: "unfinished',
                "Idempotency-Key: caf\xe9",
                "Idempotency-Key: a b",
                "Idempotency-Key: a\x01b",
                "Idempotency-Key: a\r\nIdempotency-Key: b",
                "Idempotency-Key:",
            )
        ],
        "invalid-idempotency-key",
        400,
    ),
    *many(40, "idempotency-key-nul", [post(b'{"prompt":"a"}', "Idempotency-Key: a\0b")], None, 400),
    *many(
        50, "accept", [get("/v1/jobs/1", f"Accept: {kind}") for kind in ("text/csv", "text/html")], "job-not-found", 404
    ),
    *many(
        52,
        "host",
        [
            (f"GET /v1/jobs/1 HTTP/1.1\r\nHost: {host}\r\n\r\n".encode(),)
            for host in ("[::1", "a:b:c", "a/../b", "@", "")
        ],
        "job-not-found",
        404,
    ),
    Row(55, "http-1.0", (b"GET /v1/jobs/1 HTTP/1.0\r\n\r\n",), "job-not-found", 404),
    Row(55, "tls", (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 64 + b"\r\n\r\n",), None, 400),
    Row(55, "not-http", (b"hello\r\n\r\n",), None, 400),
]

ROWS = [*JSON_ROWS, *FIELD_ROWS, *BODY_ROWS, *HTTP_ROWS]
