"""A hub on loopback with one model, as huggingface_hub asks it."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

NAME, REVISION = "someone/red-mugs", "451f4fe16113bff5a5d2269ed5ad43b0592e9a14"


class Hub:
    """`fetched` has the names of the files that were fetched, each with its header Range, or None.

    An answer with more than a megabyte stops in its middle while `gate` is not set; `halfway` says that one has come to
    that point. The connections of the first `cuts` of them end there.
    """

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.files = files
        self.fetched: dict[str, str | None] = {}
        self.gate, self.halfway = Event(), Event()
        self.gate.set()
        self.cuts = 0
        self.url = ""

    def tree(self) -> list[dict[str, object]]:
        return [
            {"type": "file", "path": name, "size": len(content), "oid": _digest(content)[:40], "lfs": _large(content)}
            for name, content in self.files.items()
        ]

    def about(self) -> dict[str, object]:
        return {"id": NAME, "modelId": NAME, "sha": REVISION, "siblings": [{"rfilename": name} for name in self.files]}


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _large(content: bytes) -> dict[str, object]:
    return {"oid": _digest(content), "size": len(content), "pointerSize": 130}


@contextmanager
def hub_server(files: Mapping[str, bytes]) -> Iterator[Hub]:
    hub = Hub(files)

    class Serve(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            name = path.removeprefix(f"/{NAME}/resolve/{REVISION}/")
            if path == f"/api/models/{NAME}/revision/{REVISION}":
                self._send(json.dumps(hub.about()).encode())
            elif path.startswith(f"/api/models/{NAME}/tree/{REVISION}"):
                self._send(json.dumps(hub.tree()).encode())
            elif name in hub.files:
                self._send_file(name, hub.files[name])
            else:
                self.send_error(404)

        do_HEAD = do_GET

        def _send_file(self, name: str, content: bytes) -> None:
            asked = self.headers["Range"]
            start = int(asked.removeprefix("bytes=").partition("-")[0]) if asked else 0
            if self.command == "GET":
                hub.fetched[name] = asked
            self._send(content[start:], len(content) if asked else None, start, ETag=f'"{_digest(content)}"')

        def _send(self, body: bytes, whole: int | None = None, start: int = 0, **headers: str) -> None:
            self.send_response(200 if whole is None else 206)
            if whole is not None:
                self.send_header("Content-Range", f"bytes {start}-{whole - 1}/{whole}")
            for name, value in {"Content-Length": str(len(body)), "X-Repo-Commit": REVISION, **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "HEAD":
                return
            half = len(body) // 2 if len(body) > 1_000_000 else len(body)
            self.wfile.write(body[:half])
            if half < len(body):
                hub.halfway.set()
                hub.gate.wait(60)
                self._send_rest(body[half:])

        def _send_rest(self, rest: bytes) -> None:
            if hub.cuts:
                hub.cuts -= 1
                self.close_connection = True
                return
            with suppress(OSError):  # the client was killed
                self.wfile.write(rest)

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Serve) as server:
        server.daemon_threads = True
        Thread(target=server.serve_forever, name="hub", daemon=True).start()
        hub.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield hub
        finally:
            hub.gate.set()
            server.shutdown()
