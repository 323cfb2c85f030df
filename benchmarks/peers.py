"""The same pictures from this project and from its peers, each at its best documented settings, on the same machine.

A turn starts one contender, warms it up, loads it and stops it again: some poll while they are idle, and would take
time from the others. Turns alternate, and ratios are taken within a round of turns. A picture counts for our client
when its bytes are there, so it pays for submitting, waiting and fetching.
"""

import statistics
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.figure import Figure
from benchmarks.peer_load import Answer
from benchmarks.peer_rig import Contender, Peer, Studio
from benchmarks.rig import open_system
from tests.system import System

ROUNDS = 2
LOADS = {1: 12, 4: 32, 16: 64}  # requests of a turn, by number of clients
COMPARED = (4, 16)
WARM_UP = {1: 8, 16: 16}  # BentoML learns its window from the first dozen calls
LOSS_CLIENTS, LOSS_REQUESTS = 16, 32

Turn = dict[int, list[Answer]]  # by number of clients


def run() -> Iterator[Figure]:
    """What each loses, then what each draws, then ours over the best of the others in the same round."""
    with open_system("distributed") as system, TemporaryDirectory(prefix="peers-") as folder:
        contenders = [Studio(system), *_peers(Path(folder), system)]
        for contender in contenders:
            yield _lost(contender)
        rounds = [{contender.name: _turn(contender) for contender in contenders} for _ in range(ROUNDS)]
    for contender in contenders:
        failed = [_failures(turns[contender.name]) for turns in rounds]
        yield Figure.of(f"peers.{contender.name}.failed", sum(failed), "requests", "", failed)
        for clients in LOADS:
            turns = [turns[contender.name][clients] for turns in rounds]
            yield from _figures(f"peers.{contender.name}.{clients}", turns)
    for clients in COMPARED:
        yield _ahead(clients, rounds)


def _peers(folder: Path, system: System) -> list[Peer]:
    servers = "benchmarks.peer_servers"
    backends = {
        "PEER_BROKER_URL": system.environment["STUDIO_BROKER_URL"],
        "PEER_RESULTS_URL": system.environment["STUDIO_STATUSES_URL"],
    }
    bentoml = f"bentoml serve {servers}.bentoml_server:Studio --host 127.0.0.1 --port {{port}}"
    # Otherwise Ray writes a token below the home folder.
    ray = {"RAY_TMPDIR": str(folder), "RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}
    gateway = f"uvicorn {servers}.taskiq_server:app --host 127.0.0.1 --port {{port}} --log-level warning"
    limits = "--workers 1 --max-threadpool-threads 1 --max-async-tasks 2 --max-prefetch 1 --ack-type when_saved"
    worker = f"taskiq worker {servers}.taskiq_server:broker {limits} --log-level WARNING"
    return [
        Peer("litserve", folder, [f"{servers}.litserve_server"], {}),
        Peer("bentoml", folder, [bentoml], {"BENTOML_HOME": str(folder / "bentoml"), "BENTOML_DO_NOT_TRACK": "True"}),
        Peer("ray", folder, [f"{servers}.ray_server"], ray),
        Peer("taskiq", folder, [gateway, worker], backends),
    ]


def _turn(contender: Contender) -> Turn:
    with contender.serving():
        _warm_up(contender)
        turn = {clients: contender.load(clients, requests).run() for clients, requests in LOADS.items()}
    failures = {answer.failure for answers in turn.values() for answer in answers if answer.failure}
    if failures:
        told = f"{contender.name}: {', '.join(sorted(failures))}\n{contender.log_tail()}"
        if isinstance(contender, Studio):
            raise RuntimeError(told)
        print(told, file=sys.stderr)  # a peer's own failures are a figure
    return turn


def _warm_up(contender: Contender) -> None:
    for clients, requests in WARM_UP.items():
        contender.load(clients, requests).run()


def _lost(contender: Contender) -> Figure:
    """How many requests sent before the model's process is killed never get a picture."""
    with contender.serving():
        _warm_up(contender)
        load = contender.load(LOSS_CLIENTS, LOSS_REQUESTS)
        with ThreadPoolExecutor(1) as thread:
            running = thread.submit(load.run)
            while load.answered < LOSS_REQUESTS / 3 and not running.done():
                time.sleep(0.02)
            killed = time.monotonic()
            contender.kill_model()
            answers = running.result()
    lost = sum(bool(answer.failure) for answer in answers if answer.sent < killed)
    name, goal = ("peers.lost", "<= 0") if isinstance(contender, Studio) else (f"peers.{contender.name}.lost", "")
    return Figure.of(name, lost, "requests", goal, [lost])


def _figures(name: str, turns: list[list[Answer]]) -> Iterator[Figure]:
    """Percentiles are taken over all turns together; the spread is that of the single turns."""
    turns = [_drawn(answers) for answers in turns]
    rates = [_images_per_second(answers) for answers in turns]
    yield Figure.of(name, statistics.median(rates), "images/s", "", rates)
    together = [answer for answers in turns for answer in answers]
    for percent in (50, 95):
        samples = [_percentile(answers, percent) for answers in turns]
        yield Figure.of(f"{name}.p{percent}", _percentile(together, percent), "s", "", samples)


def _ahead(clients: int, rounds: list[dict[str, Turn]]) -> Figure:
    ratios = []
    for turns in rounds:
        rates = {name: _images_per_second(_drawn(turn[clients])) for name, turn in turns.items()}
        ratios.append(rates.pop(Studio.name) / max(rates.values()))
    return Figure.of(f"peers.ahead.{clients}", statistics.median(ratios), "ratio", ">= 1.0", ratios)


def _failures(turn: Turn) -> int:
    return sum(bool(answer.failure) for answers in turn.values() for answer in answers)


def _drawn(answers: list[Answer]) -> list[Answer]:
    return [answer for answer in answers if not answer.failure]


def _images_per_second(answers: list[Answer]) -> float:
    begin = min(answer.sent for answer in answers)
    return len(answers) / (max(answer.sent + answer.seconds for answer in answers) - begin)


def _percentile(answers: list[Answer], percent: int) -> float:
    return statistics.quantiles([answer.seconds for answer in answers], n=100, method="inclusive")[percent - 1]
