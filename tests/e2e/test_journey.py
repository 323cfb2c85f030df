"""The journey of a job through the whole system, on embedded and on distributed backends."""

import io
import signal
import time

import httpx2
import pytest
from PIL import Image

from services.common.provenance.mark import Mark, SourceType
from tests.support.models.scripted_adapter import expected_pixels, pixels_of
from tests.support.system import System

pytest_plugins = ["tests.support.system_fixtures"]


def _artifact(system: System, job: dict[str, object], index: int = 0) -> bytes:
    response = system.client.get(f"/v1/jobs/{job['id']}/artifacts/{index}")
    assert response.status_code == 200, response.text
    return response.content


def test_a_product_becomes_a_photo(system: System) -> None:
    """A product typed into the page becomes a photo of it, whose file has the facts of its generation."""
    system.start_gateway()
    system.start_worker()
    form = {"prompt": "red mug {} %s", "style": "dark-luxury", "seed": "7"}

    submitted = system.client.post("/", data=form, headers={"Origin": system.url})
    assert submitted.status_code == 303
    job = system.wait(submitted.headers["Location"].rsplit("/", 1)[1])

    assert job["state"] == "succeeded"
    png = _artifact(system, job)
    made_from = Image.open(io.BytesIO(png)).text  # type: ignore[attr-defined]
    assert "red mug {} %s" in made_from["prompt"]
    said = {name: made_from[name] for name in ("product", "style", "seed", "steps", "guidance", "model")}
    assert said == {
        "product": "red mug {} %s",
        "style": "dark-luxury",
        "seed": "7",
        "steps": "1",
        "guidance": "1.0",
        "model": job["model"],
    }
    assert (Mark.found_in(png), job["artifacts"][0]["source_type"]) == (Mark(SourceType.TRAINED), SourceType.TRAINED)
    assert {"negative_prompt", "width", "height", "software"} <= set(made_from)
    assert pixels_of(png) == expected_pixels(made_from["prompt"], 7)
    assert system.client.get(submitted.headers["Location"]).status_code == 200


def test_a_file_is_known_again(system: System) -> None:
    """A photo comes in parts, and is known by its bytes, whole and as a JPEG without settings, until it is removed."""
    system.start_gateway()
    system.start_worker()
    job = system.wait(system.submit("red mug")["id"])
    path = f"/v1/jobs/{job['id']}/artifacts/0"
    png, jpeg = (system.client.get(f"{path}{query}").content for query in ("", "?format=jpeg&metadata=0"))

    parts = [system.client.get(path, headers={"Range": asked}) for asked in ("bytes=0-99", "bytes=100-")]
    whole, made_from = (system.client.post("/v1/provenance", content=each).json() for each in (png, jpeg))

    assert [part.status_code for part in parts] == [206, 206]
    assert b"".join(part.content for part in parts) == png
    assert (
        (whole["job_id"], whole["unchanged"]) == (made_from["job_id"], not made_from["unchanged"]) == (job["id"], True)
    )
    assert whole["source_type"] == made_from["source_type"] == "trainedAlgorithmicMedia"
    assert system.client.delete(f"/v1/jobs/{job['id']}").status_code == 204
    assert not system.client.post("/v1/provenance", content=png).json()["from_this_studio"]


def test_seeds(system: System) -> None:
    """Each of n images has its own seed; the same seed gives the same bytes, another seed gives others."""
    system.start_gateway()
    system.start_worker()
    several = system.wait(system.submit("blue vase", num_images=3, seed=2**32 - 2)["id"])
    again = system.wait(system.submit("blue vase", seed=2**32 - 1)["id"])
    unseeded = system.wait(system.submit("blue vase")["id"])

    assert [artifact["seed"] for artifact in several["artifacts"]] == [2**32 - 2, 2**32 - 1, 0]
    images = [_artifact(system, several, index) for index in range(3)]
    assert len(set(images)) == 3
    assert _artifact(system, again) == images[1]
    assert unseeded["artifacts"][0]["seed"] == unseeded["params"]["seed"]
    assert _artifact(system, unseeded) not in images


def test_a_failing_pipeline_is_reported(system: System) -> None:
    """A job whose pipeline raises fails with a stable code, shows no internals, and is not retried."""
    system.start_gateway()
    system.start_worker()
    job = system.wait(system.submit("FAIL please")["id"])

    assert (job["state"], job["error"]["code"], job["attempt"]) == ("failed", "generation-failed", 1)
    assert "secret" not in system.client.get(f"/v1/jobs/{job['id']}").text
    assert "with a secret in it" in system.log()
    assert system.client.get(f"/jobs/{job['id']}").status_code == 200


def test_unknown_and_removed(system: System) -> None:
    """An unknown job is 404; a removed one is 410, and so is its artifact."""
    system.start_gateway()
    system.start_worker()
    job = system.wait(system.submit("green bowl")["id"])

    assert system.client.delete(f"/v1/jobs/{job['id']}").status_code == 204
    assert system.client.get(f"/v1/jobs/{job['id']}").status_code == 410
    assert system.client.get(f"/v1/jobs/{job['id']}/artifacts/0").status_code == 410
    assert system.client.get("/v1/jobs/00000000-0000-7000-8000-000000000000").status_code == 404


def test_removing_a_running_job(system: System) -> None:
    """A job removed while it runs stays removed when the worker finishes with it."""
    system.start_gateway()
    system.start_worker()
    job = system.submit("SLOW lamp")
    system.wait_for(job["id"], lambda now: now["state"] == "running")

    assert system.client.delete(f"/v1/jobs/{job['id']}").status_code == 204
    after = system.wait(system.submit("next in line")["id"])
    assert after["state"] == "succeeded"
    assert system.client.get(f"/v1/jobs/{job['id']}").status_code == 410


def test_cancel(system: System) -> None:
    """A canceled queued job never starts, a running one stops early, and canceling a finished one is a conflict."""
    system.start_gateway()
    waiting = system.submit("never made")
    assert system.client.post(f"/v1/jobs/{waiting['id']}/cancel").json()["state"] == "canceled"
    running = system.submit("SLOW candle")
    system.start_worker()
    step = system.wait_for(running["id"], lambda now: bool(now["progress"] and now["progress"]["step"] > 0))

    assert system.client.post(f"/v1/jobs/{running['id']}/cancel").status_code == 202
    assert step["progress"]["total"] == 40
    assert system.wait(running["id"])["state"] == "canceled"
    assert system.client.post(f"/v1/jobs/{running['id']}/cancel").status_code in (200, 202)
    done = system.wait(system.submit("made")["id"])
    assert system.client.post(f"/v1/jobs/{done['id']}/cancel").status_code == 409
    assert waiting["id"] not in system.generation_counts()


def test_restart_of_everything(system: System) -> None:
    """Jobs accepted while no worker runs survive a restart of the gateway and run once each."""
    gateway = system.start_gateway()
    jobs = [system.submit(f"product {number}") for number in range(5)]
    gateway.send_signal(signal.SIGTERM)
    assert gateway.wait(timeout=30) == 0

    system.start_gateway()
    system.start_worker()
    assert {system.wait(job["id"])["state"] for job in jobs} == {"succeeded"}
    assert set(system.generation_counts().values()) == {1}


def test_drain(system: System) -> None:
    """A worker that gets SIGTERM finishes its running job, hands the next one back uncharged, and exits with 0."""
    system.start_gateway()
    worker = system.start_worker()
    first, second = system.submit("SLOW first"), system.submit("second", steps=2)
    system.wait_for(first["id"], lambda now: now["state"] == "running")
    worker.send_signal(signal.SIGTERM)

    assert worker.wait(timeout=30) == 0
    assert system.wait(first["id"])["state"] == "succeeded"
    system.start_worker()
    assert system.wait(second["id"])["attempt"] == 1
    assert system.generation_counts() == {first["id"]: 1, second["id"]: 1}


def test_grace_period_over(system: System) -> None:
    """A job that outlasts the grace period is handed back uncharged, and the next worker finishes it."""
    system.start_gateway()
    worker = system.start_worker(grace_seconds="0.2")
    job = system.submit("SLOW and long")
    system.wait_for(job["id"], lambda now: now["state"] == "running")
    worker.send_signal(signal.SIGTERM)
    worker.wait(timeout=30)

    assert system.client.get(f"/v1/jobs/{job['id']}").json()["state"] == "queued"
    system.start_worker()
    finished = system.wait(job["id"])
    assert (finished["state"], finished["attempt"]) == ("succeeded", 1)


def test_deadline(system: System) -> None:
    """A job whose pipeline hangs fails with timeout, its worker exits, and the next worker runs the next job."""
    system.start_gateway()
    worker = system.start_worker(job_deadline_seconds="1")
    hung = system.submit("HANG forever")
    following = system.submit("afterwards", steps=2)  # other steps: never in one batch
    job = system.wait(hung["id"])

    assert (job["state"], job["error"]["code"]) == ("failed", "timeout")
    assert worker.wait(timeout=30) == 70
    system.start_worker()
    assert system.wait(following["id"])["attempt"] == 1


def test_poison(system: System) -> None:
    """A job that kills every worker fails as poison after its attempts, and other jobs succeed."""
    system.start_gateway()
    poison = system.submit("KILL the worker")
    good = system.submit("innocent", steps=2)  # other steps: never in one batch
    for _ in range(3):
        assert system.start("worker").wait(timeout=30) == -signal.SIGKILL
    system.start_worker()

    job = system.wait(poison["id"])
    assert (job["state"], job["error"]["code"], job["attempt"]) == ("failed", "poison", 3)
    assert (system.wait(good["id"])["state"], system.wait(good["id"])["attempt"]) == ("succeeded", 1)
    assert system.generation_counts()[good["id"]] == 1


def test_the_loop_answers_while_the_model_runs(system: System) -> None:
    """The worker's event loop answers while the pipeline blocks the model thread."""
    system.start_gateway()
    system.start_worker()
    job = system.submit("SLOW teapot")
    system.wait_for(job["id"], lambda now: now["state"] == "running")

    answers = 0
    while system.client.get(f"/v1/jobs/{job['id']}").json()["state"] == "running":
        answers += httpx2.get(f"{system.worker_url}/livez", timeout=5).status_code == 200
        time.sleep(0.02)
    assert answers > 10


@pytest.mark.parametrize("value", ["0", "-1", "x"])
def test_settings_are_checked(system: System, value: str) -> None:
    """A process with an invalid or unknown setting does not start and names the setting."""
    process = system.start("api", queue_limit=value)
    assert process.wait(timeout=30) == 2
    assert "STUDIO_QUEUE_LIMIT" in system.log()
    misspelt = system.start("api", queue_limits="5")
    assert misspelt.wait(timeout=30) == 2
    assert "STUDIO_QUEUE_LIMITS (did you mean STUDIO_QUEUE_LIMIT?)" in system.log()
