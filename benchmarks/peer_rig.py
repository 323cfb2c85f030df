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
from services.inference.diffusers.openmp import SPINS
from tests.support.servers.server import free_port
from tests.support.system import ROOT, System

START_SECONDS = 180.0  # some load torch in more than one process
LOG_TAIL = 3000  # characters
STOP_SECONDS = 5.0  # nothing is at work then; LitServe leaves SIGTERM unheeded


class NotStarted(Exception):
    """A peer died or drew nothing in time; says what its processes said last."""


class Contender(ABC):
    """Something that draws pictures for HTTP clients; `ask` is how they ask."""

    name: str
    port: int
    ask: Ask

    @contextmanager
    def serving(self) -> Iterator[None]:
        """All its processes run inside. It has drawn a picture already."""
        try:
            self._start()
            yield
        finally:
            self._stop()

    def load(self, clients: int, seconds: float) -> Load:
        return Load(self.port, self.ask, clients=clients, seconds=seconds)

    def pause(self) -> None:
        """Take no time from the others."""

    def resume(self) -> None:
        """Be as before `pause`."""

    @abstractmethod
    def kill_model(self) -> None:
        """SIGKILL to the process that holds the model. What starts it again is at work when this returns."""

    @abstractmethod
    def log_tail(self) -> str:
        """What its processes said last."""

    @abstractmethod
    def _start(self) -> None: ...

    @abstractmethod
    def _stop(self) -> None: ...


class Studio(Contender):
    """Gateway and worker of this project; a supervisor would start the next worker as `kill_model` does.

    Idle they take 0.2 % of a core, so nothing is paused.
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
    """`commands` are run in `folder` with the peer's own Python; the one that loads the model writes its pid there.

    Paused, the processes of one that `polls` while it is idle stand still; the others take as little as ours then.
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
            "GOMP_SPINCOUNT": SPINS,  # as in our worker
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
        while not (self._pid_file.exists() and self._draws()):
            if time.monotonic() > deadline or any(process.poll() is not None for process in self._processes):
                raise NotStarted(f"{self.name} did not start:\n{self.log_tail()}")
            time.sleep(0.1)

    def _draws(self) -> bool:
        return not self.load(clients=1, seconds=0).run()[0].failure

    def _stop(self) -> None:
        self.resume()  # what stands still heeds no SIGTERM
        stop_trees(self._processes)
        for process in self._processes:
            with suppress(ProcessLookupError):  # what outlived a leader that died by itself
                os.killpg(process.pid, signal.SIGKILL)


def _trees(processes: Sequence[subprocess.Popen[bytes]]) -> list[psutil.Process]:
    """Those of them that run, and all that they have started."""
    running = [psutil.Process(process.pid) for process in processes if process.poll() is None]
    return [*running, *(child for process in running for child in process.children(recursive=True))]


def stop_trees(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """SIGTERM to each, then SIGKILL to whatever is left of them and of what they started."""
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
