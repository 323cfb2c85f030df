"""The contenders of `peers` as real processes: this project, and each peer in its own virtual environment."""

import os
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from benchmarks.peer_environment import make_environment
from benchmarks.peer_load import Ask, Load, ask_peer, ask_studio
from benchmarks.rig import CORES
from tests.support.servers.server import free_port
from tests.support.system import ROOT, System

START_SECONDS = 180.0  # some peers load torch in more than one process
LOG_TAIL = 3000  # characters
STOP_SECONDS = 5.0  # no request is open then; LitServe ignores SIGTERM


class NotStarted(Exception):
    """A peer died or returned no image in time; the message has the end of its log."""


class Contender(ABC):
    """A server that generates images for HTTP clients; `ask` sends one request."""

    name: str
    port: int
    ask: Ask

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Run all processes while the block runs; one image has been generated when it begins."""
        try:
            self._start()
            yield
        finally:
            self._stop()

    def load(self, clients: int, seconds: float) -> Load:
        return Load(self.port, self.ask, clients=clients, seconds=seconds)

    def pause(self) -> None:
        """Use no CPU time until `resume`."""

    def resume(self) -> None:
        """Continue after `pause`."""

    @abstractmethod
    def kill_model(self) -> None:
        """Send SIGKILL to the process that holds the model, whose restart has begun when this returns."""

    @abstractmethod
    def log_tail(self) -> str:
        """Return the end of the processes' log."""

    @abstractmethod
    def _start(self) -> None: ...

    @abstractmethod
    def _stop(self) -> None: ...


class Studio(Contender):
    """Gateway and worker of this project; `kill_model` starts the next worker, as a supervisor would.

    Idle they use 0.2 % of a core, so they are not paused.
    """

    name = "ours"
    ask = staticmethod(ask_studio)

    def __init__(self, system: System) -> None:
        self.port = system.port
        self._system = system
        self._processes: list[subprocess.Popen[bytes]] = []

    def kill_model(self) -> None:
        worker = self._processes.pop()
        worker.kill()
        worker.wait()
        self._processes.append(self._system.start_worker())

    def log_tail(self) -> str:
        return self._system.log()[-LOG_TAIL:]

    def _start(self) -> None:
        self._processes = [self._system.start_gateway()]
        self._processes.append(self._system.start_worker())

    def _stop(self) -> None:
        stop_trees(self._processes)


class Peer(Contender):
    """`commands` run in `folder` with the peer's Python; the process that loads the model writes its pid there.

    `pause` suspends the processes of a peer that `polls` while it is idle; other idle peers use as little as ours.
    """

    ask = staticmethod(ask_peer)

    def __init__(
        self, name: str, folder: Path, commands: Sequence[str], environment: Mapping[str, str], *, polls: bool = False
    ) -> None:
        self.name = name
        self._polls = polls
        self.port = free_port()
        self._folder = folder / name
        self._folder.mkdir()
        self._pid_file = self._folder / "model.pid"
        self._log = self._folder / "log.txt"
        self._python = make_environment(name)
        self._commands = [command.format(port=self.port).split() for command in commands]
        self._environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("STUDIO_")},
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": str(CORES),
            "HF_HUB_OFFLINE": "1",
            "PEER_PORT": str(self.port),
            "PEER_PID_FILE": str(self._pid_file),
            **environment,
        }
        self._processes: list[subprocess.Popen[bytes]] = []

    def kill_model(self) -> None:
        os.kill(int(self._pid_file.read_text()), signal.SIGKILL)

    def log_tail(self) -> str:
        return self._log.read_text(errors="replace")[-LOG_TAIL:]

    def pause(self) -> None:
        for process in _trees(self._processes) if self._polls else ():
            with suppress(psutil.NoSuchProcess):
                process.suspend()

    def resume(self) -> None:
        for process in _trees(self._processes):
            with suppress(psutil.NoSuchProcess):
                process.resume()

    def _start(self) -> None:
        self._pid_file.unlink(missing_ok=True)
        with self._log.open("ab") as log:
            self._processes = [
                subprocess.Popen(
                    [self._python, "-m", *command],
                    cwd=self._folder,
                    env=self._environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
                for command in self._commands
            ]
        deadline = time.monotonic() + START_SECONDS
        while not (self._pid_file.exists() and self._generates()):
            if time.monotonic() > deadline or any(process.poll() is not None for process in self._processes):
                raise NotStarted(f"{self.name} did not start:\n{self.log_tail()}")
            time.sleep(0.1)

    def _generates(self) -> bool:
        return not self.load(clients=1, seconds=0).run()[0].failure

    def _stop(self) -> None:
        self.resume()  # a suspended process does not handle SIGTERM
        stop_trees(self._processes)
        for process in self._processes:
            with suppress(ProcessLookupError):  # children may outlive a leader that died
                os.killpg(process.pid, signal.SIGKILL)


def _trees(processes: Sequence[subprocess.Popen[bytes]]) -> list[psutil.Process]:
    """Return the running processes among these, and all their descendants."""
    running = [psutil.Process(process.pid) for process in processes if process.poll() is None]
    return [*running, *(child for process in running for child in process.children(recursive=True))]


def stop_trees(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """Send SIGTERM to each process, then SIGKILL to those that remain and to their descendants."""
    every = _trees(processes)
    for own in processes:
        own.terminate()
    _, left = psutil.wait_procs(every, STOP_SECONDS)
    for process in left:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(left, STOP_SECONDS)
    for own in processes:
        own.wait()
