"""The same images from this project and from its peers, each at its best documented settings, on the same machine.

All run from the start. LitServe and Ray poll while they are idle, for a tenth of a core each, so they are suspended
outside their turns. Turns follow each other within a minute, each round begins with another contender, and ratios are
taken within a round. An image counts for our client when its bytes have arrived, so our figure includes submitting,
waiting and fetching. A peer that does not start is left out. All load the same pipeline in the same number formats.
The other work of our adapter (on a CPU: tracing the denoiser, decoding one image after the other, encoding the text
once) is part of the comparison.
"""

import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.figure import Figure
from benchmarks.peer_load import Answer
from benchmarks.peer_rig import Contender, NotStarted, Peer, Studio
from benchmarks.rig import open_system
from benchmarks.subject import SHIPPED, Subject
from tests.support.system import System

ROUNDS = 5  # each contender is the first once
LOADS = {1: 3.0, 4: 5.0, 16: 8.0}  # seconds of a turn, by number of clients
LEAD_SECONDS = 1.5  # before each turn, uncounted: a suspended process has cold caches
COMPARED = (4, 16)
WARM_UP = {1: 3.0, 16: 4.0}  # seconds, by number of clients; BentoML learns its window from the first dozen calls
LOSS_CLIENTS, LOSS_SECONDS, KILL_SECONDS = 16, 5.0, 4.5  # the load outlasts the kill, so that all clients wait then

Turns = dict[int, list[list[Answer]]]  # by number of clients


def run(subject: Subject, rounds: int) -> Iterator[Figure]:
    """Yield the rates of each contender, then our rate over each peer's, then the requests that each loses.

    The loss depends on where requests are kept and not on the model, so it is measured with the shipped model only.
    """
    with open_system("distributed", subject=subject) as system, TemporaryDirectory(prefix="peers-") as folder:
        with ExitStack() as stack:
            contenders = list(_started(stack, [Studio(system), *_peers(Path(folder), system, subject)]))
            turns: dict[str, Turns] = {each.name: {clients: [] for clients in LOADS} for each in contenders}
            for number in range(rounds):
                first = number % len(contenders)
                for clients, contender in product(LOADS, contenders[first:] + contenders[:first]):
                    turns[contender.name][clients].append(_turn(contender, clients))
        for name, own in turns.items():
            yield from _rates_of(name, own)
        for contender, clients in product(contenders, COMPARED):
            if not isinstance(contender, Studio):
                yield _over(contender.name, clients, turns)
        for contender in contenders if subject == SHIPPED else ():
            yield _lost(contender)


def _started(stack: ExitStack, contenders: Sequence[Contender]) -> Iterator[Contender]:
    for contender in contenders:
        try:
            stack.enter_context(contender.serving())
        except NotStarted as exc:
            print(exc, file=sys.stderr)
            continue
        _warm_up(contender)
        contender.pause()
        yield contender


def _rates_of(name: str, turns: Turns) -> Iterator[Figure]:
    failed = [sum(bool(answer.failure) for answer in turn) for own in turns.values() for turn in own]
    yield Figure.of(f"peers.{name}.failed", sum(failed), "requests", "", failed)
    for clients, own in turns.items():
        yield from _figures(f"peers.{name}.{clients}", own)


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
        Peer("litserve", folder, [f"{servers}.litserve_server"], model, polls=True),
        Peer("bentoml", folder, [bentoml_command], {**model, **bentoml}),
        Peer("taskiq", folder, [gateway, worker], {**model, **backends}),
        Peer("ray", folder, [f"{servers}.ray_server"], {**model, **ray}, polls=True),
    ]


def _warm_up(contender: Contender) -> None:
    for clients, seconds in WARM_UP.items():
        contender.load(clients, seconds).run()


def _turn(contender: Contender, clients: int) -> list[Answer]:
    contender.resume()
    contender.load(clients, LEAD_SECONDS).run()
    answers = contender.load(clients, LOADS[clients]).run()
    contender.pause()
    if failures := {answer.failure for answer in answers if answer.failure}:
        told = f"{contender.name}: {', '.join(sorted(failures))}\n{contender.log_tail()}"
        if isinstance(contender, Studio):
            raise RuntimeError(told)
        print(told, file=sys.stderr)  # a peer's failures are a figure
    return answers


def _lost(contender: Contender) -> Figure:
    """Count the requests sent before the kill of the model's process that never get an image."""
    with contender.serving():
        _warm_up(contender)
        load = contender.load(LOSS_CLIENTS, LOSS_SECONDS)
        with ThreadPoolExecutor(1) as thread:
            running = thread.submit(load.run)
            time.sleep(KILL_SECONDS)
            killed = time.monotonic()
            contender.kill_model()
            answers = running.result()
    lost = sum(bool(answer.failure) for answer in answers if answer.sent < killed)
    name, goal = ("peers.lost", "<= 0") if isinstance(contender, Studio) else (f"peers.{contender.name}.lost", "")
    return Figure.of(name, lost, "requests", goal, [lost])


def _figures(name: str, turns: Sequence[list[Answer]]) -> Iterator[Figure]:
    """Yield rate and percentiles. Percentiles are taken over all turns together; the spread is that of single turns."""
    turns = [_succeeded(answers) for answers in turns]
    rates = [_images_per_second(answers) for answers in turns]
    yield Figure.of(name, statistics.median(rates), "images/s", "", rates)
    together = [answer for answers in turns for answer in answers]
    for percent in (50, 95):
        samples = [_percentile(answers, percent) for answers in turns]
        yield Figure.of(f"{name}.p{percent}", _percentile(together, percent), "s", "", samples)


def _over(peer: str, clients: int, turns: dict[str, Turns]) -> Figure:
    """Return the ratio of our rate to the peer's, taken within each round."""
    ours, theirs = (
        [_images_per_second(_succeeded(turn)) for turn in turns[name][clients]] for name in (Studio.name, peer)
    )
    ratios = [own / other for own, other in zip(ours, theirs, strict=True)]
    return Figure.of(f"peers.over.{peer}.{clients}", statistics.median(ratios), "ratio", ">= 1.0", ratios)


def _succeeded(answers: list[Answer]) -> list[Answer]:
    return [answer for answer in answers if not answer.failure]


def _images_per_second(answers: list[Answer]) -> float:
    begin = min(answer.sent for answer in answers)
    return len(answers) / (max(answer.sent + answer.seconds for answer in answers) - begin)


def _percentile(answers: list[Answer], percent: int) -> float:
    seconds = [answer.seconds for answer in answers]
    # A turn of a slow model may have one image, for which Python 3.11 computes no quantiles.
    return statistics.quantiles(seconds if len(seconds) > 1 else 2 * seconds, n=100, method="inclusive")[percent - 1]
