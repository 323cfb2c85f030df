"""The metrics of both services after a known workload."""

import signal
from collections.abc import Callable

import pytest

from tests.support.metrics_scrape import Scrape
from tests.support.polling import poll
from tests.support.servers.server import free_port
from tests.support.system import System

pytest_plugins = ["tests.support.system_fixtures"]

IMAGES = {"one": 1, "two": 2}


@pytest.fixture
def metrics_url(system: System) -> str:
    """The URL of the gateway's metrics, which need a configured port."""
    port = free_port()
    system.environment["STUDIO_METRICS_PORT"] = str(port)
    return f"http://127.0.0.1:{port}"


def test_known_workload(system: System, metrics_url: str) -> None:
    """Jobs, attempts, outputs, stages, requests and backend calls are counted once each, by their outcome."""
    system.start_gateway()
    system.start_worker()
    for prompt, count in IMAGES.items():
        system.wait(system.submit(prompt, f"key-{prompt}", num_images=count)["id"])
    replayed = system.submit("one", "key-one", num_images=1)["id"]
    system.wait(system.submit("FAIL please")["id"])
    running = system.submit("SLOW please")["id"]
    system.wait_for(running, lambda job: job["state"] == "running")
    busy = Scrape(system.worker_url)
    system.client.post(f"/v1/jobs/{running}/cancel")
    system.wait(running)
    assert system.client.post("/v1/jobs", json={"prompt": ""}).status_code == 422
    assert system.client.get("/v1/jobs/nonsense/at/all").status_code == 404
    gateway = _scrape_when(
        metrics_url,
        lambda scrape: (
            scrape("studio_workers", phase="ready") == 1
            and scrape("studio_jobs_running") == scrape("studio_queue_depth") == 0
        ),
    )
    worker = Scrape(system.worker_url)

    assert gateway("studio_jobs_submitted_total", outcome="accepted") == 4
    assert gateway("studio_jobs_submitted_total") == 5, replayed
    assert gateway("studio_http_request_seconds_count", method="POST", route="/v1/jobs", status="202") == 5
    assert gateway("studio_http_request_seconds_count", method="POST", route="/v1/jobs", status="422") == 1
    assert gateway("studio_http_request_seconds_count", route="other", status="404") == 1
    assert gateway("studio_backend_seconds_count", backend="broker", operation="publish") == 4

    assert worker("studio_jobs_finished_total", outcome="succeeded", code="") == 2
    assert worker("studio_jobs_finished_total", outcome="failed", code="generation-failed") == 1
    assert worker("studio_jobs_finished_total", outcome="canceled") == 1
    assert worker("studio_job_attempts_total", verdict="held") == 4
    assert worker("studio_job_queue_seconds_count") == worker("studio_job_run_seconds_count") == 4
    assert worker("studio_outputs_made_total") == sum(IMAGES.values())
    assert worker("studio_pipeline_call_seconds_count") == worker("studio_stage_seconds_count", stage="denoise") == 2
    assert worker("studio_stage_seconds_count", stage="load") == 1
    for stage in ("encode", "upload"):
        assert worker("studio_stage_seconds_count", stage=stage) == sum(IMAGES.values())
    assert worker("studio_backend_seconds_count", backend="statuses", operation="begin") == 4
    assert (busy("studio_worker_ready"), busy("studio_worker_busy")) == (1, 1)
    for scrape in (gateway, worker):
        assert scrape("studio_loop_lag_seconds_count") > 0
        assert scrape("process_resident_memory_bytes") > 10e6
        assert scrape("studio_backend_errors_total") == 0
        for secret in ("one", "FAIL", "key-", replayed, running):
            assert f'"{secret}' not in scrape.text


def test_waiting_and_dead(system: System, metrics_url: str) -> None:
    """The gateway counts jobs that wait without a worker, and dead letters of jobs that killed their workers."""
    system.start_gateway()
    before = Scrape(metrics_url)("studio_dead_letters")
    poison = system.submit("KILL please")["id"]
    waiting = _scrape_when(metrics_url, lambda scrape: scrape("studio_queue_depth") == 1)
    assert waiting("studio_workers") == 0
    assert waiting("studio_oldest_job_age_seconds") > 0

    assert system.start("worker", max_attempts="1").wait(60) == -signal.SIGKILL
    system.start_worker(max_attempts="1")
    assert system.wait(poison)["error"]["code"] == "poison"
    told = Scrape(system.worker_url)
    assert told("studio_jobs_finished_total", outcome="failed", code="poison") == 1
    assert told("studio_jobs_dead_lettered_total") == 1
    after = _scrape_when(metrics_url, lambda scrape: scrape("studio_dead_letters") == before + 1)
    assert (after("studio_queue_depth"), after("studio_oldest_job_age_seconds")) == (0, 0)


def _scrape_when(url: str, met: Callable[[Scrape], bool]) -> Scrape:
    """Scrape until the condition holds: the queues are read about once a second, and a broker may count late."""

    def matching() -> Scrape | None:
        scrape = Scrape(url)
        return scrape if met(scrape) else None

    return poll(matching, 10, lambda: Scrape(url).text)


def test_not_public(system: System) -> None:
    """The gateway's public port serves no metrics."""
    system.start_gateway()
    assert system.client.get("/metrics").status_code == 404
