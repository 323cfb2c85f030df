"""GPU memory in the metrics, with a stand-in for NVIDIA's library."""

import sys

import pytest
from prometheus_client import generate_latest

from services.inference.job.metrics import Metrics
from tests.support.metric_queries import nvml


def test_gpu_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Used and total bytes of every GPU are told."""
    monkeypatch.setitem(sys.modules, "pynvml", nvml())
    registry = Metrics().registry
    told = [
        registry.get_sample_value("studio_gpu_memory_bytes", {"gpu": "0", "kind": kind}) for kind in ("used", "total")
    ]
    assert told == [3e9, 80e9]


@pytest.mark.parametrize("fault", ["not installed", "no driver", "lost"])
def test_without_gpu(monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    """Where the library, the driver or the GPU is missing, all other metrics are told as always."""

    def fail(*_: object) -> None:
        raise RuntimeError(fault)

    library = nvml()
    if fault != "not installed":
        setattr(library, "nvmlInit" if fault == "no driver" else "nvmlDeviceGetMemoryInfo", fail)
    monkeypatch.setitem(sys.modules, "pynvml", None if fault == "not installed" else library)
    metrics = Metrics()
    metrics.of("any")
    for _ in range(2):
        text = generate_latest(metrics.registry).decode()
        assert "studio_gpu_memory_bytes{" not in text
        assert "studio_pipeline_calls_total" in text
