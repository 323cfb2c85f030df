"""Sends a hostile file to a gateway in a process of its own, and measures the answer, its seconds and its memory."""

import json
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil

from tests.intake.cases import BODY_SECONDS, Case
from tests.support.live_server import Answer, read_answer
from tests.support.system import System, running_system

_PROGRAM: Final = "services.api.core.inputs.decoding"
LOOK_SECONDS: Final = 0.002
ANSWER_SECONDS: Final = 60.0


@dataclass(frozen=True)
class Measured:
    """An answer: `seconds` from the first byte sent, `peak_mb` of the process that had the file, 0 if there was none;
    `gateway_mb` is the growth of the gateway's own memory meanwhile.
    """

    status: int
    body: dict[str, Any]
    seconds: float
    peak_mb: float
    gateway_mb: float

    @property
    def code(self) -> str:
        return str(self.body.get("code", ""))

    @property
    def warnings(self) -> tuple[str, ...]:
        return tuple(each["code"] for each in self.body.get("warnings", ()))


class Meter:
    """Opened by `open_meter`."""

    def __init__(self, system: System, gateway: psutil.Process) -> None:
        self.system = system
        self._gateway = gateway

    def measure(self, case: Case) -> Measured:
        """Send the request of the case."""
        parts = case.parts()  # made before the time is taken
        before, watch = self._gateway.memory_info().rss, MemoryWatch(self._gateway)
        began = time.perf_counter()
        with watch.watching():
            answer = self._answer(case, parts)
            seconds = time.perf_counter() - began
        grown = max(self._gateway.memory_info().rss - before, 0) / 1e6
        return Measured(answer.status, json.loads(answer.body or b"{}"), seconds, watch.peak_bytes / 1e6, grown)

    def _answer(self, case: Case, parts: Iterable[bytes]) -> Answer:
        with socket.create_connection(("127.0.0.1", self.system.port), ANSWER_SECONDS) as connection:
            sender = threading.Thread(target=_send, args=(connection, case, parts), daemon=True)
            sender.start()
            with connection.makefile("rb") as reader:
                answer = read_answer(reader)
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            sender.join(5)
        return answer


def _send(connection: socket.socket, case: Case, parts: Iterable[bytes]) -> None:
    head = ["POST /v1/inputs HTTP/1.1", "Host: localhost", *case.head]
    if isinstance(parts, list) and not any(line.startswith("Content-Length") for line in head):
        head.append(f"Content-Length: {sum(map(len, parts))}")
    with suppress(OSError):  # refused half-way
        connection.sendall("\r\n".join([*head, "", ""]).encode())
        for part in parts:
            connection.sendall(part)
            time.sleep(case.pause)


class MemoryWatch:
    """Keeps the most memory that any process had which opened a file for this gateway."""

    def __init__(self, gateway: psutil.Process) -> None:
        self.peak_bytes = 0
        self._gateway = gateway
        self._stop = threading.Event()

    @contextmanager
    def watching(self) -> Iterator[None]:
        thread = threading.Thread(target=self._look, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()

    def _look(self) -> None:
        while not self._stop.wait(LOOK_SECONDS):
            for child in self._gateway.children():
                with suppress(psutil.Error, OSError, ValueError):
                    if _PROGRAM in child.cmdline():  # else it is still the copy of the gateway
                        self.peak_bytes = max(self.peak_bytes, _high_water(child.pid))


def _high_water(pid: int) -> int:
    """Return the most memory that the process had so far, in bytes, as the kernel counts it."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


@contextmanager
def open_meter(folder: Path) -> Iterator[Meter]:
    """Run a gateway with the default limits, but for a short deadline of bodies."""
    with running_system(folder, {}) as system:
        gateway = system.start_gateway(input_deadline_seconds=str(BODY_SECONDS), log_level="warning")
        yield Meter(system, psutil.Process(gateway.pid))
