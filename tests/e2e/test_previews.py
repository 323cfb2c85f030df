"""Previews of running jobs, by real processes."""

import io

import numpy as np
from PIL import Image

from tests.support.models.scripted_adapter import expected_pixels
from tests.support.system import System

pytest_plugins = ["tests.support.system_fixtures"]


def difference(jpeg: bytes, prompt: str, seed: int) -> float:
    """Return the mean difference, 0 to 255, of a preview to the adapter's image of this prompt and seed."""
    preview = Image.open(io.BytesIO(jpeg))
    assert (preview.format, max(preview.size)) == ("JPEG", 256)
    wanted = np.frombuffer(expected_pixels(prompt, seed), np.uint8)
    shown = np.asarray(preview.resize((2, 4), Image.Resampling.NEAREST)).ravel()
    return float(np.abs(shown.astype(float) - wanted).mean())


def test_preview_while_it_is_made(system: System) -> None:
    """Each running job of a batch has a preview of its own image, which is gone when the job has ended."""
    system.start_gateway()
    system.start_worker()
    jobs = {seed: system.submit("SLOW vase", seed=seed)["id"] for seed in (3, 4)}
    for seed, job_id in jobs.items():
        link = system.wait_for(job_id, lambda now: now["links"]["preview"] is not None)["links"]["preview"]
        seen = system.client.get(link)
        assert seen.status_code == 200, seen.text
        assert difference(seen.content, "SLOW vase", seed) < 12 < difference(seen.content, "SLOW vase", 7 - seed)

    for job_id in jobs.values():
        done = system.wait(job_id)
        assert (done["state"], done["links"]["preview"]) == ("succeeded", None)
        assert system.client.get(f"/v1/jobs/{job_id}/preview").status_code == 404


def test_short_job_has_none(system: System) -> None:
    """A short job makes no preview."""
    system.start_gateway()
    system.start_worker()
    job_id = system.submit("red mug")["id"]
    system.wait_for(job_id, lambda now: now["state"] == "succeeded" or now["links"]["preview"] is not None)
    assert system.wait(job_id)["links"]["preview"] is None
