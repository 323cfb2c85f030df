"""The gateway and the workers of a scenario, each started again when it exits, as a supervisor does in production."""

import signal
import subprocess
import threading
import time
from typing import Final

from tests.support.servers.server import free_port
from tests.support.system import System

CHECK_SECONDS: Final = 0.05
STOP_SECONDS: Final = 20.0


class Fleet:
    """Keeps a gateway and some workers running.

    `gateway` and `workers` are the current processes. Workers started by `start_worker` are not replaced.
    """

    def __init__(self, system: System, workers: int) -> None:
        self._system = system
        self._ports: dict[int, int] = {}
        self.gateway = system.start_gateway()
        self.workers = [self._new_worker() for _ in range(workers)]
        self.gateway_down_since = -STOP_SECONDS  # on the monotonic clock
        self._guarded = threading.RLock()
        self._closed = threading.Event()
        for worker in self.workers:
            self._await(worker)
        self._thread = threading.Thread(target=self._replace)
        self._thread.start()

    @property
    def gateway_down(self) -> bool:
        """True if the gateway need not listen now: it is stopping, has exited, or another one is starting."""
        return time.monotonic() - self.gateway_down_since < STOP_SECONDS

    def start_worker(self, *, ready: bool = True, **settings: str) -> subprocess.Popen[bytes]:
        """Start one more worker, which is not replaced when it exits."""
        worker = self._new_worker(**settings)
        if ready:
            self._await(worker)
        return worker

    def scale_to(self, count: int) -> None:
        """Start workers until there are at least `count`."""
        with self._guarded:
            missing = [self._new_worker() for _ in range(count - len(self.workers))]
            self.workers += missing
        for worker in missing:
            self._await(worker)

    def stop_gateway(self) -> int:
        """Send SIGTERM and return the exit code. A stopping gateway answers open requests and accepts no connection."""
        gateway = self.gateway
        self.gateway_down_since = time.monotonic() + STOP_SECONDS
        gateway.send_signal(signal.SIGTERM)
        return _ended(gateway)

    def replace_gateway(self, **settings: str) -> subprocess.Popen[bytes]:
        """Kill the gateway and start another one with these settings."""
        with self._guarded:
            self.gateway.kill()
            self.gateway.wait()
            self._begin_gateway(**settings)
        return self.gateway

    def stop_workers(self) -> list[int]:
        """Send SIGTERM to all workers and return their exit codes; one that does not exit is killed. Repeatable."""
        self._closed.set()
        self._thread.join()
        for worker in self.workers:
            worker.send_signal(signal.SIGTERM)
        return [_ended(worker) for worker in self.workers]

    def _replace(self) -> None:
        while not self._closed.wait(CHECK_SECONDS):
            with self._guarded:
                if self.gateway.poll() is not None:
                    self._begin_gateway()
                self.workers = [worker if worker.poll() is None else self._new_worker() for worker in self.workers]

    def _begin_gateway(self, **settings: str) -> None:
        self.gateway_down_since = time.monotonic()
        self.gateway = self._system.start("api", **settings)

    def _new_worker(self, **settings: str) -> subprocess.Popen[bytes]:
        port = free_port()
        worker = self._system.start("worker", worker_port=str(port), **settings)
        self._ports[worker.pid] = port
        return worker

    def _await(self, worker: subprocess.Popen[bytes]) -> None:
        self._system.wait_until_ready(f"http://127.0.0.1:{self._ports[worker.pid]}/readyz", worker)


def _ended(process: subprocess.Popen[bytes]) -> int:
    try:
        return process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()
