"""A hundred new connections a second for a minute, to a gateway that may open 1,024 files.

Sixty of them send a request and close after the answer. Ten close without a request, ten send half a head and close.
Ten stay and send nothing, and ten stay with half a head: the gateway has to close these itself. `dropped` counts
connections that were refused and requests that were not answered, `files` the most that the gateway had open.
"""

import asyncio
import resource
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import cycle
from typing import Final

import psutil

from benchmarks.figure import Figure
from benchmarks.rig import open_system

SECONDS: Final = 60
EACH_SECOND: Final = 100
FILES: Final = 1024
ANSWER_SECONDS: Final = 10.0
STAY_SECONDS: Final = 30.0  # longer than a gateway waits for a head
REQUEST: Final = b"GET /livez HTTP/1.1\r\nHost: studio\r\n\r\n"
KINDS: Final = ("answered",) * 6 + ("leaves", "leaves-half", "mute", "half")


@dataclass
class _Soak:
    """The outcomes of the connections so far."""

    port: int
    seconds: list[float] = field(default_factory=list)  # of each answer
    dropped: list[str] = field(default_factory=list)
    closed: int = 0  # connections that the gateway closed itself

    async def play(self, kind: str) -> None:
        begin = time.perf_counter()
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError as exc:
            self.dropped.append(f"{kind}: {exc!r}")
            return
        try:
            if kind == "answered":
                writer.write(REQUEST)
                async with asyncio.timeout(ANSWER_SECONDS):
                    line = await reader.readuntil(b"\r\n")
                if b" 200 " not in line:
                    self.dropped.append(f"{kind}: {line!r}")
                self.seconds.append(time.perf_counter() - begin)
            elif "half" in kind:
                writer.write(REQUEST[:20])
            if kind in ("mute", "half"):
                async with asyncio.timeout(STAY_SECONDS):
                    await reader.read()
                self.closed += 1
        except (OSError, EOFError) as exc:
            self.dropped.append(f"{kind}: {exc!r}")
        finally:
            writer.close()


def run() -> Iterator[Figure]:
    """Yield the requests dropped, the files open at most, and the time of an answer."""
    with open_system("embedded") as system:
        gateway = system.start_gateway()
        resource.prlimit(gateway.pid, resource.RLIMIT_NOFILE, (FILES, FILES))
        soak = _Soak(system.port)
        files = asyncio.run(_play(soak, psutil.Process(gateway.pid)))
        for line in soak.dropped[:10]:
            print(line)
        yield Figure.of("connections.dropped", len(soak.dropped), "of 6000", "<= 0", [len(soak.dropped)])
        yield Figure.of("connections.files", max(files), f"files of {FILES}", "<= 512", files)
        yield Figure.of("connections.files-in-the-end", files[-1], "files", "", files[-1:])
        p99 = statistics.quantiles(soak.seconds, n=100)[98] * 1000
        yield Figure.of("connections.p99", p99, "ms an answer, connecting included", "<= 500", soak.seconds)


async def _play(soak: _Soak, process: psutil.Process) -> list[float]:
    """Return the number of files that the gateway has open, each second and in the end."""
    files: list[float] = []
    playing: set[asyncio.Task[None]] = set()
    kinds = cycle(KINDS)
    begin = time.perf_counter()
    for number in range(SECONDS * EACH_SECOND):
        await asyncio.sleep(begin + number / EACH_SECOND - time.perf_counter())
        playing.add(asyncio.create_task(soak.play(next(kinds))))
        if number % EACH_SECOND == 0:
            files.append(process.num_fds())
            playing = {task for task in playing if not task.done()}
    await asyncio.wait(playing)
    await asyncio.sleep(1)
    return [*files, process.num_fds()]
