"""Builds requests as raw bytes, malformed ones included."""

import json


def post(body: bytes, *headers: str, media_type: str | None = "application/json") -> tuple[bytes]:
    lines = ["POST /v1/jobs HTTP/1.1", "Host: studio", f"Content-Length: {len(body)}", *headers]
    if media_type is not None:
        lines.append(f"Content-Type: {media_type}")
    return ("\r\n".join([*lines, "", ""]).encode("latin-1") + body,)


def job(**members: object) -> tuple[bytes]:
    return post(json.dumps({"prompt": "a mug", **members}).encode())


def raw(body: str, media_type: str | None = "application/json") -> tuple[bytes]:
    return post(body.encode(), media_type=media_type)


def get(target: str, *headers: str, method: str = "GET") -> tuple[bytes]:
    return ("\r\n".join([f"{method} {target} HTTP/1.1", "Host: studio", *headers, "", ""]).encode("latin-1"),)


def chunked(body: bytes, *headers: str, target: str = "/v1/jobs") -> tuple[bytes, ...]:
    head = [f"POST {target} HTTP/1.1", "Host: studio", "Transfer-Encoding: chunked", "Content-Type: application/json"]
    pieces = [body[start : start + 1000] for start in range(0, len(body), 1000)]
    return (
        "\r\n".join([*head, *headers, "", ""]).encode(),
        *(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces),
        b"0\r\n\r\n",
    )


def head_only(*headers: str) -> tuple[bytes]:
    """Return a request without the body it announces."""
    return get("/v1/jobs", "Content-Type: application/json", *headers, method="POST")
