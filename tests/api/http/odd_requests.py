"""Requests whose framing, target or protocol is odd, as raw bytes: rows for `test_bad_input`, beside `bad_rows`."""

from tests.api.http.bad_requests import ACCEPTED, INVALID, LIMIT, MALFORMED, NOT_ALLOWED, Row, many
from tests.support.raw_http import get

JOB = b'{"prompt":"a"}'
BOTH = ("Content-Length: 2", "Transfer-Encoding: chunked")
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def lines(*head: str, body: bytes = b"") -> tuple[bytes]:
    """A request of these lines as they are."""
    return ("\r\n".join([*head, "", ""]).encode("latin-1") + body,)


def framed(*headers: str, body: bytes = JOB, version: str = "1.1") -> tuple[bytes]:
    """A job under framing of the caller's."""
    head = (f"POST /v1/jobs HTTP/{version}", "Host: studio", "Content-Type: application/json", *headers)
    return lines(*head, body=body)


def in_chunks(body: bytes) -> tuple[bytes]:
    """A job whose chunks are these bytes."""
    return framed("Transfer-Encoding: chunked", body=body)


FRAMING_ROWS = [
    Row(26, "same-length-twice", framed("Content-Length: 14", "Content-Length: 14"), *ACCEPTED),
    *many(
        26,
        "odd-length",
        [
            framed("Content-Length: 2, 14"),
            framed("Content-Length: +14"),
            framed("Content-Length: 0xe"),
            framed("Content-Length: 1_4"),
            framed("Content-Length: "),
            framed("Content-Length : 14"),
            framed("Transfer-Encoding: \x0bchunked"),
        ],
        None,
        400,
    ),
    Row(26, "length-after-chunked", framed("Transfer-Encoding: chunked", "Content-Length: 14"), "bad-request", 400),
    Row(26, "both-where-nobody-reads", get("/static/studio.css", *BOTH), "bad-request", 400),
    Row(26, "chunked-in-http-1.0", framed("Transfer-Encoding: chunked", body=b"0\r\n\r\n", version="1.0"), *MALFORMED),
    # RFC 9112, section 6.1: 501 is the answer to a transfer coding that is not understood. It is Hypercorn's.
    *many(
        26,
        "odd-coding",
        [framed(f"Transfer-Encoding: {coding}") for coding in ("gzip, chunked", "identity", "xchunked")],
        None,
        501,
    ),
    Row(26, "coding-twice", framed("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"), None, 501),
    *many(
        26,
        "odd-chunk",
        [
            in_chunks(b"zz\r\n{"),
            in_chunks(b"f" * 21 + b"\r\n{"),
            in_chunks(b"-1\r\n{"),
            in_chunks(b"2\r\n{}XX0\r\n\r\n"),
        ],
        None,
        400,
    ),
    Row(26, "trailer", in_chunks(b"e\r\n" + JOB + b"\r\n0\r\nX-Trailer: a\r\n\r\n"), *ACCEPTED),
    Row(27, "continue-never-used", framed("Expect: 100-continue", "Content-Length: 14", body=b""), "body-timeout", 408),
    Row(
        28,
        "body-of-a-get",
        lines("GET /v1/jobs/1 HTTP/1.1", "Host: a", "Content-Length: 2", body=b"{}"),
        "job-not-found",
        404,
    ),
    Row(
        28,
        "body-too-large-of-a-get",
        lines("GET /v1/jobs/1 HTTP/1.1", "Host: a", f"Content-Length: {LIMIT}"),
        "job-not-found",
        404,
    ),
]

HEAD_ROWS = [
    *many(
        29,
        "head",
        [
            get("/livez", *(f"X-{number}: {'x' * 30}" for number in range(2000))),
            get("/" + "a" * 70_000),
        ],
        None,
        431,
    ),
    *many(
        30,
        "odd-head",
        [
            ("GET /café HTTP/1.1\r\nHost: a\r\n\r\n".encode(),),
            (b"GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n",),
            (b"GET /livez HTTP/1.1\r\nHost: a\r\nX-\xff: a\r\n\r\n",),
            (b"GET /livez HTTP/1.1\r\nHost: a\r\nX-A: \0\r\n\r\n",),
            (b"GET /livez HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n",),
            (b"GET /livez HTTP/1.1\r\n Host: a\r\n\r\n",),
            (b"GET /livez\r\n\r\n",),
            (b"\r\r\r\r\r\r\r\n\r\n",),
            (b"SSH-2.0-OpenSSH_9.2\r\n\r\n",),
        ],
        None,
        400,
    ),
    *many(
        30,
        "not-ascii",
        [
            (b"GET /v1/jobs/1 HTTP/1.1\r\nHost: \xff\r\nX-A: \xff\r\nCookie: studio_visitor=\xff\r\n\r\n",),
            (b"GET /v1/jobs/1 HTTP/1.1\r\nHost: a\r\nAccept: \xe9\r\nIf-None-Match: \xff\r\nPrefer: \xff\r\n\r\n",),
        ],
        "job-not-found",
        404,
    ),
    *many(
        31,
        "options",
        [
            (b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",),
            get("/v1/jobs", "Origin: https://evil.example", "Access-Control-Request-Method: POST", method="OPTIONS"),
        ],
        *NOT_ALLOWED,
    ),
    *many(
        32,
        "other-traversal",
        [
            get(target)
            for target in (
                "/static/..%5c..%5cetc/passwd",
                "/%2e%2e/%2e%2e/etc/passwd",
                "/static/..;/etc/passwd",
                "/static/%c0%ae%c0%ae/etc/passwd",
                "/static/....//....//etc/passwd",
                "/static/file:///etc/passwd",
                "http://evil.example/v1/jobs/1",
                "http://studio/livez",
                "file:///etc/passwd",
            )
        ],
        "not-found",
        404,
    ),
    Row(33, "query", get("/v1/jobs?limit=%ff&cursor=%00&limit=1"), *INVALID),
    *many(
        55,
        "websocket",
        [
            get(
                "/v1/jobs",
                "Connection: Upgrade",
                "Upgrade: websocket",
                "Sec-WebSocket-Version: 13",
                f"Sec-WebSocket-Key: {key}",
            )
            for key in ("dGhlIHNhbXBsZSBub25jZQ==", "AAAAAAAAAAAAAAAAAAAAAA==")
        ],
        None,
        403,
    ),
    Row(55, "websocket-without-a-key", get("/v1/jobs", "Connection: Upgrade", "Upgrade: websocket"), None, 400),
]

ODD_ROWS = [*FRAMING_ROWS, *HEAD_ROWS]
