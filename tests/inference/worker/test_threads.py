"""The threads of torch follow the CPU quota of the worker's container."""

import os
from functools import partial
from pathlib import Path

import pytest
import torch

from services.common.settings import Settings
from services.inference.diffusers.hardware import prepare_torch
from services.inference.runtime.model_thread import ModelThread
from services.inference.worker import worker_runtime
from services.inference.worker.cores import usable_cores
from tests.inference.worker.test_cores import GROUP, V2, machine
from tests.support.models.items import tiny_model
from tests.support.models.scripted_adapter import ScriptedAdapter

pytestmark = pytest.mark.anyio

seen: list[int] = []


class CountingAdapter(ScriptedAdapter):
    """Takes note of torch's threads where a model is loaded."""

    def prepare_thread(self, threads: int) -> None:
        prepare_torch(threads)

    def load(self, device: str) -> None:
        seen.append(torch.get_num_threads())

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("quota", "workers", "threads"), [(50_000, 1, 1), (350_000, 1, 3), (600_000, 2, 3), (150_000, 2, 1)]
)
async def test_torch_follows_the_quota(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quota: int, workers: int, threads: int
) -> None:
    """Each worker gets its share of the cores in the quota, rounded down, and torch gets as many threads."""
    found = machine(tmp_path, "0::/\n", V2, {f"{GROUP}/cpu.max": f"{quota} 100000\n"})
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(16)))
    monkeypatch.setattr(worker_runtime, "usable_cores", partial(usable_cores, found))
    model = tiny_model(str(tmp_path), calls="calls.txt").model_copy(
        update={"adapter": f"{__name__}:{CountingAdapter.__name__}"}
    )
    before, thread = torch.get_num_threads(), ModelThread()
    try:
        async with worker_runtime.model_executor(Settings(workers=workers), model, thread) as executor:
            await executor.load()
    finally:
        torch.set_num_threads(before)
        thread.close()
    assert seen.pop() == threads
