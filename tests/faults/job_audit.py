"""Counts the outcomes of a scenario's jobs, once all have ended or no job makes progress."""

import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any, Final

from tests.faults.job_watcher import TERMINAL
from tests.faults.load_client import JobRequest
from tests.faults.result import Result
from tests.faults.scenario import Scenario, ScenarioRun
from tests.support.models.scripted_adapter import expected_pixels, pixels_of
from tests.support.models.scripted_edit_adapter import edited_pixels
from tests.support.models.spoken import expected_samples, samples_of

UNEXPECTED: Final = '"event": "unexpected error"'
SETTLE_SECONDS: Final = 8.0  # time for the last acks and dead letters
RAN: Final = ("running", "succeeded", "failed")
CLEAN_EXITS: Final = (0, -signal.SIGTERM)  # drained, or stopped before it had started


def audit(scenario: Scenario, run: ScenarioRun, trouble: Sequence[str], seconds: Callable[[], float]) -> Result:
    """Stop the workers and return the result of the scenario; `trouble` are the faults found so far.

    The workers are stopped first, since a message that a worker holds shows in the queue only afterwards. Every job is
    polled once more when the queue is empty: a message may reach a worker after its job has ended.
    """
    watcher, load = run.watcher, run.load
    _until(lambda: run.backends.depth(run.system) == 0)
    for job_id in load.accepted.values():
        watcher.poll(job_id)
    ended = [(load.requests[number], watcher.jobs.get(job_id)) for number, job_id in load.accepted.items()]
    lost = [fault for request, job in ended if (fault := _lost(scenario, request, job))]
    contents = {job["id"]: _content(run, request, job) for request, job in ended if job and job["artifacts"]}
    lost += [f"{job_id} has no artifact to fetch" for job_id, content in contents.items() if content is None]
    wrong = [
        f"{request.prompt!r} has another job's content"
        for request, job in ended
        if job and (content := contents.get(job["id"])) and content != _expected(run, request, job)
    ]
    doubled = [*_duplicate_jobs(run), *_repeated_work(scenario, run)]
    regressed = [f"{job}: {history}" for job, history in watcher.histories.items() if went_back(history)]
    codes = run.fleet.stop_workers()
    _until(lambda: len(run.backends.dead_letters(run.system)) == scenario.dead)
    queued, dead = run.backends.depth(run.system), len(run.backends.dead_letters(run.system))
    faults = [*trouble, *lost, *wrong, *doubled, *regressed, *load.refused]
    faults += [f"a worker told to stop exited with {code}" for code in codes if code not in CLEAN_EXITS]
    faults += [f"{queued} messages remain in the queue"] if queued else []
    faults += [f"there are {dead} dead letters instead of {scenario.dead}"] if dead != scenario.dead else []
    faults += [f"the log has {line[-1500:]}" for line in run.system.log().splitlines() if UNEXPECTED in line]
    faults += [f"/livez was not answered in time, {watcher.unresponsive} times"] if watcher.unresponsive else []
    return Result(
        name=scenario.name,
        backend=run.backends.backend,
        jobs=len(load.requests),
        lost=len(lost),
        doubled=len(doubled),
        wrong=len(wrong),
        regressed=len(regressed),
        queued=queued,
        dead=dead,
        unresponsive=watcher.unresponsive,
        seconds=round(seconds(), 1),
        faults=tuple(faults),
    )


def went_back(history: Sequence[tuple[str, int]]) -> bool:
    """True if a job with this history of states and attempts went back: it changed after its end, became unknown, or
    was queued again with its attempt kept. A worker that hands a job back also hands the attempt back.
    """
    for (before, attempt), (after, next_attempt) in pairwise(history):
        if before in TERMINAL:
            return True
        if before == "running" and after == "queued" and next_attempt >= attempt:
            return True
    return any(state.isdigit() for state, _ in history)


def _lost(scenario: Scenario, request: JobRequest, job: dict[str, Any] | None) -> str | None:
    if job is None:
        return f"{request.prompt!r} was accepted and never seen"
    code = job["error"] and job["error"]["code"]
    if job["state"] == "failed" and code == scenario.may_fail:
        return None
    if (job["state"], code) != (request.state, request.code):
        return (
            f"{request.prompt!r} is {job['state']} {code or ''} at attempt {job['attempt']} instead of {request.state}"
        )
    if request.state == "succeeded" and len(job["artifacts"]) != 1:
        return f"{request.prompt!r} has {len(job['artifacts'])} artifacts"
    return None


def _content(run: ScenarioRun, request: JobRequest, job: dict[str, Any]) -> bytes | None:
    answer = run.system.client.get(job["artifacts"][0]["url"])
    if answer.status_code != 200:
        return None
    return samples_of(answer.content) if request.speech else pixels_of(answer.content)


def _expected(run: ScenarioRun, request: JobRequest, job: dict[str, Any]) -> bytes:
    if request.speech:
        return expected_samples(request.prompt, request.seed)
    if not request.file:
        return expected_pixels(request.prompt, request.seed)
    kept = run.system.client.get(f"/v1/inputs/{job['params']['image']}").json()
    return edited_pixels(request.prompt, request.seed, kept["sha256"])


def _duplicate_jobs(run: ScenarioRun) -> list[str]:
    """Return the requests for which more than one job was created and begun."""
    params = [job["params"] for job in _listed(run) if job["state"] in RAN]
    prompts = Counter(each.get("prompt") or each["text"] for each in params)
    return [f"{prompt!r} became {count} jobs" for prompt, count in prompts.items() if count > 1]


def _listed(run: ScenarioRun) -> Iterator[dict[str, Any]]:
    cursor: dict[str, str] = {}
    while True:
        page = run.system.client.get("/v1/jobs", params={"limit": "100", **cursor}).json()
        yield from page["data"]
        if not page["next_cursor"]:
            return
        cursor = {"cursor": page["next_cursor"]}


def _repeated_work(scenario: Scenario, run: ScenarioRun) -> list[str]:
    jobs = run.watcher.jobs.values()
    begun = sum(job["attempt"] for job in jobs) - len(jobs)
    generated = sum(count - 1 for count in run.system.generation_counts().values())
    counts = [
        ("jobs were begun", begun, scenario.begun_again),
        ("images were generated", generated, scenario.generated_again),
    ]
    return [
        f"{what} again {got} times instead of at most {most}"
        for what, got, most in counts
        if most is not None and got > most
    ]


def _until(met: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SETTLE_SECONDS
    while not met() and time.monotonic() < deadline:
        time.sleep(0.1)
