"""A hub that refuses every request, to test the sentences made of its answers."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread


@contextmanager
def refusing_hub(status: int, code: str) -> Iterator[str]:
    """Yield the URL of a hub that answers every request with `status` and the hub's own error `code`."""

    class Refuse(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("X-Error-Code", code)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    with HTTPServer(("127.0.0.1", 0), Refuse) as server:
        Thread(target=server.serve_forever, name="hub", daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
