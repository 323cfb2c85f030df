"""Generates requests for every route of the gateway, from sensible ones to raw bytes."""

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlencode
from uuid import UUID

from services.common.ids import new_job_id
from tests.fuzz.values import FIELDS, ValueGenerator

METHODS: Final = ("GET", "POST", "DELETE", "HEAD", "PUT", "PATCH", "OPTIONS", "TRACE", "BREW", "CONNECT", "get")
QUERY: Final = ("limit", "cursor", "after", "format", "max_side", "download", "at", "from", "key", *FIELDS)
MEDIA_TYPES: Final = (
    *("application/json; charset=utf-8", "application/json; charset=utf-16", "text/plain", "application/xml", ""),
    *(
        "multipart/form-data; boundary=b",
        "multipart/form-data",
        "application/x-www-form-urlencoded",
        "json",
        "a/b/c;;=",
    ),
)
HEADERS: Final = (
    *("Idempotency-Key", "Prefer", "If-None-Match", "Accept", "Accept-Language", "Cookie", "Origin", "Sec-Fetch-Site"),
    *("Authorization", "X-Request-Id", "X-Forwarded-For", "X-Forwarded-Host", "Forwarded", "Range", "Expect"),
    *("Content-Encoding", "Connection", "TE", "Referer", "X-HTTP-Method-Override", "If-Modified-Since"),
)
SENSIBLE: Final = {
    "Idempotency-Key": ('"8e03978e-40d5-43e8-bc93-6894a57f9324"', "a"),
    "Prefer": ("respond-async", "wait=0", "wait=0.01", "wait=-1, respond-async"),
    "Accept": ("application/json", "text/html", "text/csv;q=0.1"),
    "If-None-Match": ("*", '"a"', 'W/"b", "c"'),
    "Origin": ("null", "https://evil.example"),
    "Sec-Fetch-Site": ("same-origin", "cross-site", "none"),
    "Range": ("bytes=0-10", "bytes=9-1,2-", "bytes=" + "0-1," * 500),
}


@dataclass(frozen=True)
class GeneratedRequest:
    """A request; one that is `whole` (well-formed, complete) must be answered. `known_coding`: the framing is known."""

    data: bytes
    method: str
    target: str
    whole: bool = True
    known_coding: bool = True


class RequestGenerator:
    """`routes` pairs methods with the templates of paths; `ids` returns ids of existing jobs and messages."""

    def __init__(self, seed: int, routes: Sequence[tuple[str, str]], ids: Callable[[random.Random], str]) -> None:
        self._random = random.Random(seed)  # noqa: S311 - nothing secret
        self._values = ValueGenerator(self._random)
        self._routes = routes
        self._ids = ids

    def generate(self) -> GeneratedRequest:
        """Return the next request."""
        method, template = self._random.choice(self._routes)
        if self._random.random() < 0.1:
            method = self._random.choice(METHODS)
        target = self._target(template)
        head, body = self._headers(), b""
        if method in ("POST", "PUT", "PATCH") or self._random.random() < 0.05:
            media_type, body = self._body(page=not template.startswith("/v1"))
            head.append(f"Content-Type: {media_type}")
        made = self._framed(method, target, head, body)
        if self._random.random() < 0.04:
            return GeneratedRequest(self._values.damaged(made.data), method, target, whole=False, known_coding=False)
        return made

    def _target(self, template: str) -> str:
        def value(found: re.Match[str]) -> str:
            text = self._ids(self._random) if self._random.random() < 0.7 else self._some_id()
            return quote(text if found[1] in ("job_id", "message_id", "input_id") else self._small(), safe="")

        path = re.sub(r"{(\w+)[^}]*}", value, template)
        if self._random.random() < 0.05:
            path += self._random.choice(("/", "//", "/..", "/%2e%2e/", "%00", ";a", "/" + "a" * 3000))
        if self._random.random() < 0.3:
            pairs = [
                (self._random.choice(QUERY), self._random.choice((self._small(), self._values.text())))
                for _ in range(self._random.randint(1, 3))
            ]
            path += "?" + urlencode(pairs, errors="replace")
        return path

    def _some_id(self) -> str:
        made = (new_job_id(), str(UUID(int=self._random.getrandbits(128))), self._values.text(), self._small())
        return self._random.choice(made).encode("utf-8", "replace").decode()

    def _small(self) -> str:
        return self._random.choice(
            ("0", "1", "2", "10", "100", "-1", "9" * 30, "png", "webp", "jpeg", "queue-full", "x")
        )

    def _headers(self) -> list[str]:
        head = [f"Host: {self._random.choice(('127.0.0.1', 'localhost', 'studio', 'evil.example:80', '[::1', ''))}"]
        for name in self._random.sample(HEADERS, self._random.choice((0, 0, 1, 2, 4))):
            text = self._random.choice(SENSIBLE.get(name, ("a",)))
            if self._random.random() < 0.3:
                text = self._values.text()
            # Characters that no header can hold test the server's parser, which is the task of `damaged`.
            head.append(
                f"{name}: " + re.sub(r"[\x00-\x08\x0a-\x1f\x7f]", "", text).encode("utf-8", "replace").decode("latin-1")
            )
        return [line for line in head if not line.startswith(("Connection:", "Expect:")) or self._random.random() < 0.2]

    def _body(self, *, page: bool) -> tuple[str, bytes]:
        if self._random.random() < 0.1:
            return self._random.choice(MEDIA_TYPES), self._values.json()
        if not page:
            return "application/json", self._values.json()
        fields = {str(name): str(value) for name, value in self._values.fields().items()}
        if self._random.random() < 0.7:
            return "application/x-www-form-urlencoded", urlencode(fields, errors="replace").encode()
        parts = [
            f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in fields.items()
        ]
        body = "".join([*parts, "--b--\r\n"]).encode("utf-8", "replace")
        return "multipart/form-data; boundary=b", body if self._random.random() < 0.8 else self._values.damaged(body)

    def _framed(self, method: str, target: str, head: list[str], body: bytes) -> GeneratedRequest:
        """Frame the body, nearly always correctly, else in one of the wrong ways."""
        whole, known_coding, length = True, True, [f"Content-Length: {len(body)}"] if body or method == "POST" else []
        kind = self._random.random()
        if body and kind < 0.1:
            length, body = ["Transfer-Encoding: chunked"], self._chunks(body)
        elif body and kind < 0.13:
            length, whole = [*length, "Transfer-Encoding: chunked"], False
        elif body and kind < 0.15:
            length, whole, known_coding = [self._odd_length(len(body))], False, False
        elif body and kind < 0.152:
            length, whole = [f"Content-Length: {len(body) + 10}"], False
        version = "1.1" if self._random.random() < 0.97 else "1.0"
        lines = [f"{method} {target} HTTP/{version}", *head, *length, "", ""]
        return GeneratedRequest("\r\n".join(lines).encode("latin-1") + body, method, target, whole, known_coding)

    def _chunks(self, body: bytes) -> bytes:
        sizes, at, made = (1, 7, 100, 5000), 0, b""
        while at < len(body):
            piece = body[at : at + self._random.choice(sizes)]
            made += b"%x\r\n%s\r\n" % (len(piece), piece)
            at += len(piece)
        return made + b"0\r\n\r\n"

    def _odd_length(self, length: int) -> str:
        odd = ("-1", f"+{length}", f"{length}, {length + 1}", hex(length), "9" * 30, "")
        codings = ("gzip", "identity", "chunked, chunked", "\x0bchunked")
        if self._random.random() < 0.5:
            return f"Content-Length: {self._random.choice(odd)}"
        return f"Transfer-Encoding: {self._random.choice(codings)}"
