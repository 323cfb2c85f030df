"""An index of packages on loopback, as pip reads one (PEP 503), and wheels to put into it."""

import base64
import hashlib
import io
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from types import MappingProxyType

NAME, VERSION = "red-mugs", "1.2"
FILE = "red_mugs-1.2-py3-none-any.whl"


def wheel(files: Mapping[str, bytes], claims: Mapping[str, int] = MappingProxyType({})) -> bytes:
    """Return a wheel with these files, which may have any name. Those in `claims` say that they have another size."""
    info = "red_mugs-1.2.dist-info"
    meta = {
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: red-mugs\nVersion: 1.2\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},{_recorded(content)},{len(content)}\n" for name, content in {**files, **meta}.items())
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in {**files, **meta, f"{info}/RECORD": f"{record}{info}/RECORD,,\n".encode()}.items():
            archive.writestr(name, content)
        for name, size in claims.items():
            archive.getinfo(name).file_size = size
    return packed.getvalue()


def _recorded(content: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


class PackageIndex:
    """Serves `content` as the one wheel of NAME. `asked` has the paths of all requests.

    While `gate` is not set, an answer stops in the middle; `halfway` says that one has come to that point. With `cut`,
    the connection ends there. With `endless` the answer has no end but that `left` is set once the client left.
    """

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.asked: list[str] = []
        self.gate, self.halfway, self.left = Event(), Event(), Event()
        self.gate.set()
        self.cut = self.endless = False
        self.url = ""

    @property
    def downloads(self) -> int:
        return sum(path.endswith(".whl") for path in self.asked)


@contextmanager
def package_index(content: bytes) -> Iterator[PackageIndex]:
    index = PackageIndex(content)

    class Serve(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            index.asked.append(self.path)
            if self.path == f"/simple/{NAME}/":
                self._send(f'<!DOCTYPE html><a href="/{FILE}">{FILE}</a>'.encode(), "text/html")
            elif self.path == f"/{FILE}":
                self._send_wheel()
            else:
                self.send_error(404)

        def _send(self, body: bytes, media_type: str) -> None:
            self.send_response(200)
            self.send_header("Content-Type", media_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _send_wheel(self) -> None:
            half = len(index.content) // 2
            self.send_response(200)
            self.send_header("Content-Type", "application/octet-stream")
            self.send_header("Content-Length", str(10**12 if index.endless else len(index.content)))
            self.end_headers()
            self.wfile.write(index.content[:half])
            index.halfway.set()
            index.gate.wait(60)
            if index.endless:
                self._send_until_left()
            elif index.cut:
                self.close_connection = True
            else:
                self.wfile.write(index.content[half:])

        def _send_until_left(self) -> None:
            with suppress(OSError):
                while not index.left.wait(0.01):
                    self.wfile.write(bytes(65536))
            index.left.set()

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Serve) as server:
        server.daemon_threads = True
        Thread(target=server.serve_forever, name="index", daemon=True).start()
        index.url = f"http://127.0.0.1:{server.server_port}/simple/"
        try:
            yield index
        finally:
            index.gate.set()
            server.shutdown()
