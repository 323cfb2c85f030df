"""Generates heavy requests for every route: one of each kind, then mixtures of several kinds."""

import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from tests.fuzz.heavy_values import (
    BODY_BYTES,
    HEAD_BYTES,
    Kinds,
    forms,
    header_lines,
    json_bodies,
    multiparts,
    path_parts,
)
from tests.fuzz.heavy_values import queries as heavy_queries
from tests.fuzz.requests import GeneratedRequest

Route = tuple[str, str]  # a method, and the template of a path

_JSON: Final = "application/json"
_FORM: Final = "application/x-www-form-urlencoded"
_MULTIPART: Final = "multipart/form-data; boundary=b"
_USUAL: Final = {
    _JSON: '{"prompt":"a mug"}',
    _FORM: urlencode({"prompt": "a mug", "token": "0" * 32}),
}
_CHUNKS: Final = (1, 50, 500)  # bytes of each, of bodies that come in many
_PARTS: Final = re.compile(r"{(\w+)[^}]*}")


@dataclass(frozen=True)
class HeavyRequest:
    """`kind` says what is heavy about it, `route` where it goes."""

    kind: str
    route: Route
    request: GeneratedRequest


class HeavyRequests:
    """`parts` are the values of the parameters in paths, `fields` header lines that every request has."""

    def __init__(self, routes: Sequence[Route], parts: Mapping[str, str], fields: Sequence[str] = ()) -> None:
        self._routes = routes
        self._parts = parts
        self._fields = [*fields, "Host: 127.0.0.1"]

    def each_kind(self) -> Iterator[HeavyRequest]:
        """Yield a request of each kind to each route that may read it."""
        for route in self._routes:
            for kind, made in path_parts().items():
                for place, target in self._targets(route, made()):
                    yield self._request(f"{place}: {kind}", route, target)
            for kind, made in heavy_queries().items():
                yield self._request(f"query: {kind}", route, f"{self._target(route)}?{made()}")
            for kind, made in header_lines().items():
                yield self._request(f"header: {kind}", route, self._target(route), made().split("\r\n"))
            if route[0] == "POST":
                yield from self._bodies(route)

    def mixtures(self, seed: int, count: int) -> Iterator[HeavyRequest]:
        """Yield so many requests that are heavy in several ways at once, of any size; a seed yields the same again."""
        source = random.Random(seed)  # noqa: S311 - nothing secret
        for _ in range(count):
            route, share = source.choice(self._routes), HEAD_BYTES // 3
            query, made_query = source.choice([*heavy_queries(source.randint(9, share)).items()])
            kinds, lines = [query], list[str]()
            for _ in range(2):
                kind, made_lines = source.choice([*header_lines(source.randint(99, share)).items()])
                kinds.append(kind)
                lines += made_lines().split("\r\n")
            body, media_type = b"", ""
            if route[0] == "POST":
                media_type, makers = source.choice(_bodies_of(route))
                kind, made = source.choice([*makers(source.randint(99, BODY_BYTES)).items()])
                kinds.append(kind)
                body = made().encode()
            target = f"{self._target(route)}?{made_query()}"
            yield self._request(" + ".join(kinds), route, target, lines, media_type, body)

    def _bodies(self, route: Route) -> Iterator[HeavyRequest]:
        target = self._target(route)
        for media_type, makers in _bodies_of(route):
            for kind, made in makers(BODY_BYTES).items():
                yield self._request(f"{media_type}: {kind}", route, target, (), media_type, made().encode())
        media_type, makers = _bodies_of(route)[0]
        body = next(made() for kind, made in makers(BODY_BYTES).items() if kind in ("long text", "long field"))
        for size in _CHUNKS:
            kind = f"chunks of {size} bytes"
            yield self._request(kind, route, target, (), media_type, body.encode()[: 50_000 * size], chunks=size)

    def _targets(self, route: Route, part: str) -> Iterator[tuple[str, str]]:
        """Yield the route's path with the part at its end, and in place of each of its parameters."""
        yield "path", self._target(route).rstrip("/") + "/" + part
        for found in _PARTS.finditer(route[1]):
            yield found[1], self._target((route[0], route[1].replace(found[0], part)))

    def _target(self, route: Route) -> str:
        # A job that is there would be gone after the first of these.
        safe = route[0] == "GET" or route[1].endswith("/retry")
        return _PARTS.sub(lambda found: self._parts[found[1]] if safe else "0" * 32, route[1])

    def _request(
        self,
        kind: str,
        route: Route,
        target: str,
        lines: Sequence[str] = (),
        media_type: str = "",
        body: bytes = b"",
        *,
        chunks: int = 0,
    ) -> HeavyRequest:
        if route[0] == "POST" and not body:
            media_type = _bodies_of(route)[0][0]
            body = _USUAL[media_type].encode()
        named = any(line.lower().startswith("content-type:") for line in lines)
        head = [f"{route[0]} {target} HTTP/1.1", *self._fields, *lines]
        head += [f"Content-Type: {media_type}"] if media_type and not named else []
        if chunks:
            head.append("Transfer-Encoding: chunked")
            pieces = (body[at : at + chunks] for at in range(0, len(body), chunks))
            body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
        elif route[0] == "POST":
            head.append(f"Content-Length: {len(body)}")
        data = "\r\n".join([*head, "", ""]).encode("utf-8") + body
        # A body in crumbs is not read to its end, so its client may see the connection closed and no answer.
        return HeavyRequest(kind, route, GeneratedRequest(data, route[0], target, whole=not chunks))


def _bodies_of(route: Route) -> list[tuple[str, Callable[[int], Kinds]]]:
    """Return the media types that the route reads, with what makes bodies of a size."""
    if route[1].startswith("/v1/"):
        return [(_JSON, json_bodies)]
    return [(_FORM, forms), (_MULTIPART, multiparts)]
