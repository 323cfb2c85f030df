"""Counts what became of the jobs of a scenario, once they are over or nothing moves any more."""

import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any, Final

from tests.faults.job_watcher import TERMINAL
from tests.faults.load_client import Wish
from tests.faults.result import Result
from tests.faults.scenario import Scenario, Stage
from tests.support.models.scripted_adapter import expected_picture, shown

UNEXPECTED: Final = '"event": "unexpected error"'
SETTLE_SECONDS: Final = 8.0  # for the last acks and dead letters
RAN: Final = ("running", "succeeded", "failed")
LEFT_WELL: Final = (0, -signal.SIGTERM)  # drained, and not even started


def judge(scenario: Scenario, stage: Stage, trouble: Sequence[str], seconds: Callable[[], float]) -> Result:
    """Ends the workers: what one of them still holds shows in the queue only then. `trouble` is known already.

    Every job is looked at once more, and only when the queue is empty: its message may come to a worker after its end.
    """
    watcher, load = stage.watcher, stage.load
    _until(lambda: stage.ground.depth(stage.system) == 0)
    for job_id in load.accepted.values():
        watcher.look(job_id)
    ended = [(load.wishes[number], watcher.jobs.get(job_id)) for number, job_id in load.accepted.items()]
    lost = [fault for wish, job in ended if (fault := _lost(scenario, wish, job))]
    pictures = {job["id"]: _picture(stage, job) for wish, job in ended if job and job["artifacts"]}
    lost += [f"{job_id} has no picture to fetch" for job_id, picture in pictures.items() if picture is None]
    wrong = [
        f"{wish.prompt!r} shows another job's picture"
        for wish, job in ended
        if job and (picture := pictures.get(job["id"])) and picture != expected_picture(wish.prompt, wish.seed)
    ]
    doubled = [*_twice(stage), *_again(scenario, stage)]
    regressed = [f"{job}: {history}" for job, history in watcher.histories.items() if went_back(history)]
    codes = stage.crew.stop_workers()
    _until(lambda: len(stage.ground.dead_letters(stage.system)) == scenario.dead)
    queued, dead = stage.ground.depth(stage.system), len(stage.ground.dead_letters(stage.system))
    faults = [*trouble, *lost, *wrong, *doubled, *regressed, *load.refused]
    faults += [f"a worker left with {code} when it was told to stop" for code in codes if code not in LEFT_WELL]
    faults += [f"{queued} messages are left in the queue"] if queued else []
    faults += [f"there are {dead} dead letters, and not {scenario.dead}"] if dead != scenario.dead else []
    faults += [f"the log has {line[-1500:]}" for line in stage.system.log().splitlines() if UNEXPECTED in line]
    faults += [f"/livez was not answered in time, {watcher.deaf} times"] if watcher.deaf else []
    return Result(
        name=scenario.name,
        backend=stage.ground.backend,
        jobs=len(load.wishes),
        lost=len(lost),
        doubled=len(doubled),
        wrong=len(wrong),
        regressed=len(regressed),
        queued=queued,
        dead=dead,
        deaf=watcher.deaf,
        seconds=round(seconds(), 1),
        faults=tuple(faults),
    )


def went_back(history: Sequence[tuple[str, int]]) -> bool:
    """Whether a job seen in these states, with these attempts, was another after its end, was not known any more, or
    was queued again with its attempt kept: a worker that hands a job back hands the attempt back with it.
    """
    for (before, attempt), (after, next_attempt) in pairwise(history):
        if before in TERMINAL:
            return True
        if before == "running" and after == "queued" and next_attempt >= attempt:
            return True
    return any(state.isdigit() for state, _ in history)


def _lost(scenario: Scenario, wish: Wish, job: dict[str, Any] | None) -> str | None:
    if job is None:
        return f"{wish.prompt!r} was accepted and never seen"
    code = job["error"] and job["error"]["code"]
    if job["state"] == "failed" and code == scenario.may_fail:
        return None
    if (job["state"], code) != (wish.state, wish.code):
        return f"{wish.prompt!r} is {job['state']} {code or ''} at attempt {job['attempt']}, and not {wish.state}"
    if wish.state == "succeeded" and len(job["artifacts"]) != 1:
        return f"{wish.prompt!r} has {len(job['artifacts'])} artifacts"
    return None


def _picture(stage: Stage, job: dict[str, Any]) -> bytes | None:
    answer = stage.system.client.get(job["artifacts"][0]["url"])
    return shown(answer.content) if answer.status_code == 200 else None


def _twice(stage: Stage) -> list[str]:
    """Requests that more than one job was made for and begun."""
    prompts = Counter(job["params"]["prompt"] for job in _listed(stage) if job["state"] in RAN)
    return [f"{prompt!r} was made a job {count} times" for prompt, count in prompts.items() if count > 1]


def _listed(stage: Stage) -> Iterator[dict[str, Any]]:
    cursor: dict[str, str] = {}
    while True:
        page = stage.system.client.get("/v1/jobs", params={"limit": "100", **cursor}).json()
        yield from page["data"]
        if not page["next_cursor"]:
            return
        cursor = {"cursor": page["next_cursor"]}


def _again(scenario: Scenario, stage: Stage) -> list[str]:
    jobs = stage.watcher.jobs.values()
    begun = sum(job["attempt"] for job in jobs) - len(jobs)
    painted = sum(count - 1 for count in stage.system.pictures_painted().values())
    told = [("jobs were begun", begun, scenario.begun_again), ("pictures were made", painted, scenario.painted_again)]
    return [
        f"{what} {got} times more than once, and not {most} at most"
        for what, got, most in told
        if most is not None and got > most
    ]


def _until(met: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SETTLE_SECONDS
    while not met() and time.monotonic() < deadline:
        time.sleep(0.1)
