"""A private Redis without persistence: it forgets everything when it stops."""

from pathlib import Path

from tests.support.servers.installation import server_program
from tests.support.servers.server import Server, exchange_line, free_port


class RedisServer(Server):
    name = "redis"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.port = free_port()
        self._program = server_program(["redis-server"], "apt-get install redis-server", folder)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def command(self) -> list[str]:
        options = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "dir": str(self.folder),
            "save": "",
            "appendonly": "no",
            "maxmemory-policy": "noeviction",
        }
        return [*self._program, *(word for key, value in options.items() for word in (f"--{key}", value))]

    def ready(self) -> bool:
        return exchange_line(self.port, b"PING\r\n").startswith(b"+PONG")
