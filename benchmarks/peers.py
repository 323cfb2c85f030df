"""The same pictures from this project and from its peers, each at its best documented settings, on the same machine.

A turn starts one contender, warms it up, loads it and stops it again: some poll while they are idle, and would take
time from the others. Turns alternate, and ratios are taken within a round of turns. A picture counts for our client
when its bytes are there, so it pays for submitting, waiting and fetching. A peer that does not start is left out.
All load the same pipeline in the same number formats. What our adapter does beyond calling it (on a CPU, decoding one
picture after the other) is part of what is compared.
"""

import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.figure import Figure
from benchmarks.peer_load import Answer
from benchmarks.peer_rig import Contender, NotStarted, Peer, Studio
from benchmarks.rig import open_system
from benchmarks.subject import SHIPPED, Subject
from tests.system import System

ROUNDS = 2
LOADS = {1: 12, 4: 32, 16: 64}  # requests of a turn, by number of clients
COMPARED = (4, 16)
WARM_UP = {1: 8, 16: 16}  # BentoML learns its window from the first dozen calls
LOSS_CLIENTS, LOSS_REQUESTS = 16, 32

Turn = dict[int, list[Answer]]  # by number of clients


def run(subject: Subject, rounds: int) -> Iterator[Figure]:
    """What each loses, then what each draws, then ours over the best of the others in the same round.

    What is lost depends on who keeps a request, and not on the model, so only the one that ships is killed for it.
    """
    with open_system("distributed", subject=subject) as system, TemporaryDirectory(prefix="peers-") as folder:
        contenders = [Studio(system), *_peers(Path(folder), system, subject)]
        for contender in contenders if subject == SHIPPED else ():
            yield _lost(contender)
        turns: dict[str, list[Turn]] = {contender.name: [] for contender in contenders}
        for number in range(rounds):
            for contender in tuple(contenders):
                try:
                    turns[contender.name].append(_turn(contender))
                except NotStarted as exc:
                    print(exc, file=sys.stderr)
                    contenders.remove(contender)
                    del turns[contender.name]
                    continue
                if number == rounds - 1:
                    yield from _drawn_by(contender.name, turns[contender.name])
    for clients in COMPARED:
        yield _ahead(clients, turns)


def _drawn_by(name: str, turns: Sequence[Turn]) -> Iterator[Figure]:
    failed = [_failures(turn) for turn in turns]
    yield Figure.of(f"peers.{name}.failed", sum(failed), "requests", "", failed)
    for clients in LOADS:
        yield from _figures(f"peers.{name}.{clients}", [turn[clients] for turn in turns])


def _peers(folder: Path, system: System, subject: Subject) -> list[Peer]:
    servers = "benchmarks.peer_servers"
    model = {"PEER_MODELS": str(subject.models), "PEER_DEVICE": subject.device}
    backends = {
        "PEER_BROKER_URL": system.environment["STUDIO_BROKER_URL"],
        "PEER_RESULTS_URL": system.environment["STUDIO_STATUSES_URL"],
    }
    bentoml_command = f"bentoml serve {servers}.bentoml_server:Studio --host 127.0.0.1 --port {{port}}"
    bentoml = {"BENTOML_HOME": str(folder / "bentoml"), "BENTOML_DO_NOT_TRACK": "True"}
    # Otherwise Ray writes a token below the home folder.
    ray = {"RAY_TMPDIR": str(folder), "RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}
    gateway = f"uvicorn {servers}.taskiq_server:app --host 127.0.0.1 --port {{port}} --log-level warning"
    limits = "--workers 1 --max-threadpool-threads 1 --max-async-tasks 2 --max-prefetch 1 --ack-type when_saved"
    worker = f"taskiq worker {servers}.taskiq_server:broker {limits} --log-level WARNING"
    return [
        Peer("litserve", folder, [f"{servers}.litserve_server"], model),
        Peer("bentoml", folder, [bentoml_command], {**model, **bentoml}),
        Peer("taskiq", folder, [gateway, worker], {**model, **backends}),
        Peer("ray", folder, [f"{servers}.ray_server"], {**model, **ray}),
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


def _ahead(clients: int, turns: dict[str, list[Turn]]) -> Figure:
    rates = {name: [_images_per_second(_drawn(turn[clients])) for turn in own] for name, own in turns.items()}
    ours = rates.pop(Studio.name)
    ratios = [own / max(others) for own, *others in zip(ours, *rates.values(), strict=True)]
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
