"""Jobs that share a model call: the failure of one job does not affect the others."""

import signal

import httpx2

from tests.support.system import System

pytest_plugins = ["tests.support.system_fixtures"]

MATES = 6  # with four to a call


def _submit(system: System, *prompts: str) -> list[str]:
    """Submit these jobs behind a slow one, so that they wait together, and return their ids."""
    system.submit("SLOW start", steps=2)
    return [str(system.submit(prompt, seed=number)["id"]) for number, prompt in enumerate(prompts)]


def _mates() -> list[str]:
    return [f"innocent {number}" for number in range(MATES)]


def test_one_that_fails(system: System) -> None:
    """A job on which the model raises fails, and its batch mates succeed."""
    system.start_gateway()
    bad, *mates = _submit(system, "FAIL please", *_mates())
    system.start_worker()
    assert system.wait(bad)["error"]["code"] == "generation-failed"
    assert [system.wait(job_id)["state"] for job_id in mates] == ["succeeded"] * MATES
    assert system.generation_counts()[mates[0]] > 1  # with the bad one, and again without


def test_one_that_kills_the_worker(system: System) -> None:
    """A job that kills its worker interrupts its batch mates once; from then on it runs alone."""
    system.start_gateway()
    poison, *mates = _submit(system, "KILL the worker", *_mates())
    for _ in range(3):
        assert system.start("worker").wait(timeout=60) == -signal.SIGKILL
    system.start_worker()
    assert system.wait(poison)["error"]["code"] == "poison"
    jobs = [system.wait(job_id) for job_id in mates]
    assert {job["state"] for job in jobs} == {"succeeded"}
    assert [job["attempt"] for job in jobs] == [2] * 3 + [1] * (MATES - 3)


def test_one_that_hangs(system: System) -> None:
    """A job that hangs fails alone; its batch mates are handed back uncharged."""
    system.start_gateway()
    hung, *mates = _submit(system, "HANG forever", *_mates())
    for _ in range(2):  # in a batch, and alone
        assert system.start("worker", job_deadline_seconds="2", grace_seconds="5").wait(timeout=60) == 70
    system.start_worker()
    assert system.wait(hung)["error"]["code"] == "timeout"
    jobs = [system.wait(job_id) for job_id in mates]
    assert {(job["state"], job["attempt"]) for job in jobs} == {("succeeded", 1)}


def test_one_that_hangs_and_is_canceled(system: System) -> None:
    """A worker whose model thread hangs exits even if the hung job was canceled, and the next worker continues."""
    system.start_gateway()
    worker = system.start_worker(job_deadline_seconds="2", grace_seconds="5")
    hung = str(system.submit("HANG forever")["id"])
    system.wait_for(hung, lambda job: job["state"] == "running")
    assert system.client.post(f"/v1/jobs/{hung}/cancel").status_code in (200, 202)
    assert system.wait(hung)["state"] == "canceled"
    behind = str(system.submit("behind it")["id"])
    assert worker.wait(timeout=30) == 70
    system.start_worker()
    job = system.wait(behind)
    assert (job["state"], job["attempt"], system.generation_counts()[behind]) == ("succeeded", 1, 1)


def test_one_that_breaks_the_device(system: System) -> None:
    """A job that breaks the device is tried twice alone; its batch mates are handed back uncharged."""
    system.start_gateway()
    broken, *mates = _submit(system, "CUDA please", *_mates())
    for _ in range(3):  # in a batch, and twice alone
        assert system.start("worker").wait(timeout=60) == 70
    system.start_worker()
    assert system.wait(broken)["error"]["code"] == "device-failed"
    assert (system.wait(broken)["attempt"], system.generation_counts()[broken]) == (2, 3)
    jobs = [system.wait(job_id) for job_id in mates]
    assert {(job["state"], job["attempt"]) for job in jobs} == {("succeeded", 1)}


def test_one_that_is_canceled(system: System) -> None:
    """A canceled job ends before the model call it shares, and the other jobs of the call succeed."""
    system.start_gateway()
    first, *mates = _submit(system, "SLOW vase", "SLOW lamp", "SLOW jar")
    system.start_worker()
    system.wait_for(first, lambda job: job["progress"] is not None and job["progress"]["step"] > 0)
    assert system.client.post(f"/v1/jobs/{first}/cancel").status_code in (200, 202)
    assert system.wait(first)["state"] == "canceled"
    assert {system.client.get(f"/v1/jobs/{job_id}").json()["state"] for job_id in mates} == {"running"}
    assert [system.wait(job_id)["state"] for job_id in mates] == ["succeeded"] * 2
    generated = system.generation_counts()
    assert {generated[job_id] for job_id in (first, *mates)} == {1}


def test_a_hundred_identical_jobs(system: System) -> None:
    """A hundred identical jobs cost one model call; each has its own artifact, with the same bytes."""
    system.start_gateway()
    ids = [str(system.submit("SLOW twin", seed=7)["id"]) for _ in range(100)]
    system.start_worker(prefetch="100")
    jobs = [system.wait(job_id) for job_id in ids]
    assert {job["state"] for job in jobs} == {"succeeded"}
    assert sum(system.generation_counts().values()) == 1
    images = {system.client.get(job["artifacts"][0]["url"]).content for job in jobs}
    assert len(images) == 1
    assert len({job["artifacts"][0]["url"] for job in jobs}) == 100


def test_twin_of_a_canceled_job(system: System) -> None:
    """The cancellation of a job does not affect an identical job that shares its call."""
    system.start_gateway()
    first, second = (str(system.submit("SLOW twin", seed=7)["id"]) for _ in range(2))
    system.start_worker()
    system.wait_for(first, lambda job: job["state"] == "running")
    system.client.delete(f"/v1/jobs/{first}")
    assert system.wait(second)["state"] == "succeeded"
    assert sum(system.generation_counts().values()) == 1


def test_worker_counts(system: System) -> None:
    """The worker's /metrics count calls, generated outputs and shared outputs."""
    system.start_gateway()
    vase, lamp = _submit(system, "vase", "lamp")
    ids = [vase, lamp, str(system.submit("vase", seed=0)["id"])]
    worker = system.start_worker()
    for job_id in ids:
        system.wait(job_id)
    assert worker.poll() is None
    lines = httpx2.get(f"{system.worker_url}/metrics").text.splitlines()
    counted = {line.partition("{")[0]: float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#")}
    assert counted["studio_pipeline_calls_total"] == 2
    assert counted["studio_outputs_made_total"] == 3
    assert counted["studio_outputs_shared_total"] == 1
    assert counted["studio_batch_size_sum"] == 3
