"""A hub that refuses everything, for what the client makes of its answers."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread


@contextmanager
def refusing_hub(status: int, code: str) -> Iterator[str]:
    """Its URL. Every request is answered with `status` and the hub's own error `code`."""

    class Refuse(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("X-Error-Code", code)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None:
            """Nothing: a test prints nothing."""

    with HTTPServer(("127.0.0.1", 0), Refuse) as server:
        Thread(target=server.serve_forever, name="hub", daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
