"""A worker that meets a failure ends the job with an error code, or leaves it to another worker."""

import signal
import subprocess

import pytest

from tests.support.system import System

pytest_plugins = ["tests.support.system_fixtures"]


def test_job_without_a_batch_key(system: System) -> None:
    """A job whose batch key raises fails at once, and is not delivered again for ever."""
    system.start_gateway()
    system.start_worker()
    job = system.wait(system.submit("KEY please")["id"])

    assert (job["state"], job["error"]["code"], job["attempt"]) == ("failed", "generation-failed", 1)
    assert system.wait(system.submit("afterwards")["id"])["state"] == "succeeded"


def test_job_that_does_not_fit(system: System) -> None:
    """A job that runs out of memory is retried once with the memory emptied, then fails; the next job succeeds."""
    system.start_gateway()
    system.start_worker()
    job = system.wait(system.submit("OOM please")["id"])

    assert (job["state"], job["error"]["code"], job["error"]["retryable"]) == ("failed", "out-of-memory", False)
    assert (job["attempt"], system.generation_counts()[job["id"]]) == (1, 2)
    assert system.wait(system.submit("afterwards")["id"])["state"] == "succeeded"


def test_job_whose_output_is_none(system: System) -> None:
    """A job whose output cannot be encoded fails at once, with the reason in the log."""
    system.start_gateway()
    system.start_worker()
    job = system.wait(system.submit("ODD please")["id"])

    assert (job["state"], job["error"]["code"], job["attempt"]) == ("failed", "generation-failed", 1)
    assert system.generation_counts()[job["id"]] == 1
    assert "no image, with a secret in it" in system.log()
    assert "secret" not in job["error"]["message"]


def test_second_sigterm(system: System) -> None:
    """A worker that gets SIGTERM twice hands its job back uncharged and exits long before its grace period ends."""
    system.start_gateway()
    worker = system.start_worker(grace_seconds="60")
    job = system.submit("HANG for an hour")
    system.wait_for(job["id"], lambda now: now["state"] == "running")
    worker.send_signal(signal.SIGTERM)
    with pytest.raises(subprocess.TimeoutExpired):
        worker.wait(1)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(10) == 0

    now = system.client.get(f"/v1/jobs/{job['id']}").json()
    assert (now["state"], now["attempt"]) == ("queued", 0)


def test_worker_that_was_suspended(system: System) -> None:
    """A worker that was suspended while another did its job wakes up, changes nothing, and takes the next job."""
    url = system.environment["STUDIO_BROKER_URL"]
    if url.startswith("amqp"):
        url += "?heartbeat=1"  # RabbitMQ then misses the worker as soon as the embedded queue does
    system.start_gateway()
    suspended = system.start_worker(broker_url=url)
    job = system.submit("SLOW vase", seed=3)
    system.wait_for(
        job["id"], lambda now: now["id"] in system.generation_counts()
    )  # the job is running before the adapter is called
    suspended.send_signal(signal.SIGSTOP)
    other = system.start_worker()
    done = system.wait(job["id"])
    image = system.client.get(done["artifacts"][0]["url"]).content
    other.send_signal(signal.SIGTERM)
    assert other.wait(timeout=30) == 0
    suspended.send_signal(signal.SIGCONT)

    following = system.wait(system.submit("afterwards", steps=2)["id"])
    system.wait_for_log("job was taken over", seconds=20)
    assert (done["state"], done["attempt"], following["state"]) == ("succeeded", 2, "succeeded")
    assert system.client.get(f"/v1/jobs/{job['id']}").json() == done
    assert system.client.get(done["artifacts"][0]["url"]).content == image
    assert system.generation_counts()[job["id"]] == 2
