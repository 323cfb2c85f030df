"""What the benchmarks share: the system as real processes on either kind of backends, and the bare pipeline."""

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services.common.catalogue import Catalogue, Model, load_catalogue
from services.common.params import Txt2ImgParams
from services.inference.adapter import Context, Item
from services.inference.executor import ModelExecutor
from services.inference.registry import resolve_adapter
from services.inference.sources import resolve_source
from tests.stack import start_stack
from tests.system import ROOT, System, running_system

CATALOGUE = ROOT / "models" / "models.toml"
BACKENDS = ("embedded", "distributed")
CORES = os.cpu_count() or 1
BATCH_SECONDS = 180.0  # a few dozen jobs on a slow machine; longer than that something hangs
PROMPT = "matte black coffee grinder"


def catalogue() -> Catalogue:
    return load_catalogue(CATALOGUE, CATALOGUE.with_name("styles.toml"))


@contextmanager
def open_system(backends: str) -> Iterator[System]:
    """No process runs yet. `backends` is one of BACKENDS."""
    with tempfile.TemporaryDirectory(prefix="studio-bench-") as name:
        folder = Path(name)
        if backends == "embedded":
            with running_system(folder, _shared(folder), CATALOGUE) as system:
                yield system
            return
        with (
            start_stack(folder / "stack") as stack,
            running_system(folder, {**_shared(folder), **stack.environment()}, CATALOGUE) as system,
        ):
            yield system


def _shared(folder: Path) -> dict[str, str]:
    return {"STUDIO_LOG_LEVEL": "warning", "STUDIO_DATA_DIR": str(folder / "data")}


def wait_for_job(system: System, job_id: str) -> None:
    """Look rarely, so that looking costs the system nothing. Raises TimeoutError when it is not over in time."""
    deadline = time.monotonic() + BATCH_SECONDS
    while system.client.get(f"/v1/jobs/{job_id}").json()["state"] in ("queued", "running"):
        if time.monotonic() > deadline:
            raise TimeoutError(f"job {job_id} is not over after {BATCH_SECONDS:g} s\n{system.log()[-3000:]}")
        time.sleep(0.5)


class BarePipeline:
    """The default model's adapter in its own thread, as in the worker, with nothing around it."""

    def __init__(self, threads: int) -> None:
        self.model: Model = catalogue().default_model
        adapter = resolve_adapter(self.model.adapter)
        source = resolve_source(self.model, catalogue_folder=CATALOGUE.parent)
        self.executor = ModelExecutor(adapter(self.model, source), device="cpu", threads=threads)

    async def seconds(self, *seeds: int, **given: int) -> float:
        """One call for a picture a seed, with the model's defaults for what is not given."""
        params = self.model.parameters({"prompt": PROMPT, **given})
        assert isinstance(params, Txt2ImgParams)
        items = [Item("bare", index, seed, PROMPT, "", params) for index, seed in enumerate(seeds)]
        context = Context(progress=lambda _step, _total: None, cancelled=lambda _job_id: False)
        begin = time.perf_counter()
        await self.executor.generate(items, context)
        return time.perf_counter() - begin
