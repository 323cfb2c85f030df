"""A server as a child process, which can be killed, paused and started again with the same port and data."""

import contextlib
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path

START_SECONDS = 60.0  # a shared two-core machine may be slow; only a broken server takes this long
STOP_SECONDS = 20.0


class Server(ABC):
    """`start` returns once the server answers. Output goes to `<folder>/<name>.log`."""

    name: str

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / f"{self.name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def command(self) -> list[str]:
        """Return the command to run; it must stay in the foreground."""

    @abstractmethod
    def ready(self) -> bool:
        """Return whether the server answers; it may raise OSError while it does not."""

    def environment(self) -> Mapping[str, str] | None:
        """Return the environment of the server; None stands for that of this process."""
        return None

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError(f"{self.name} is not running")
        return self._process.pid

    def start(self) -> None:
        """Start the server and return once it answers.

        Raises RuntimeError with the end of the log when the server dies or does not answer.
        """
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command(),
                env=self.environment(),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C in the terminal is for the tests, which then stop the server
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                tail = self.log.read_text(errors="replace")[-3000:]
                raise RuntimeError(f"{self.name} did not start:\n{tail}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Send SIGTERM, and SIGKILL if the server does not exit. Repeatable."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL: nothing is flushed. Repeatable."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Send SIGSTOP: connections stay open and get no answer."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def _answers(self) -> bool:
        try:
            return self.ready()
        except OSError:
            return False

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        self._signal(signal.SIGCONT)  # a paused process would not see SIGTERM
        self._signal(number)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            self._process.wait(STOP_SECONDS)
        self._process = None


def free_port() -> int:
    """Return a free loopback port. The next caller gets another one with near certainty."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def exchange_line(port: int, request: bytes) -> bytes:
    """Send a request and return the first bytes of the answer, empty if the server closes. Raises OSError."""
    with contextlib.closing(socket.create_connection(("127.0.0.1", port), timeout=2)) as connection:
        connection.sendall(request)
        return connection.recv(256)
