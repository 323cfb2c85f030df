"""The memory used on the GPUs, as their driver reports it: the share of other processes is included."""

from collections.abc import Iterator
from typing import Any

import structlog
from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

log = structlog.get_logger(__name__)


class GpuMemory(Collector):
    """Collects every NVIDIA GPU that this process may see; none without a driver or without nvidia-ml-py."""

    def __init__(self) -> None:
        self._nvml: Any = None
        self._missing = False

    def collect(self) -> Iterator[Metric]:
        """Return the gauges. The scraper calls this in a thread."""
        family = GaugeMetricFamily(
            "studio_gpu_memory_bytes", "Memory of a GPU, by kind: used or total", labels=["gpu", "kind"]
        )
        for gpu, used, total in self._read():
            family.add_metric([gpu, "used"], used)
            family.add_metric([gpu, "total"], total)
        yield family

    def _read(self) -> list[tuple[str, float, float]]:
        try:
            nvml = self._open()
            if nvml is None:
                return []
            handles = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]
            memories = [nvml.nvmlDeviceGetMemoryInfo(handle) for handle in handles]
        except Exception as exc:  # noqa: BLE001 - a driver may raise anything, and the other figures must not fail with it
            log.warning("memory of the GPUs not read", reason=str(exc))
            return []
        return [(str(index), memory.used, memory.total) for index, memory in enumerate(memories)]

    def _open(self) -> Any:
        """Return the library, or None if it cannot be used. Tried once."""
        if self._nvml is None and not self._missing:
            try:
                import pynvml

                pynvml.nvmlInit()
                self._nvml = pynvml
            except Exception as exc:  # noqa: BLE001 - NVMLError is a class of the library, which may be missing
                log.info("no memory of GPUs to tell of", reason=str(exc))
                self._missing = True
        return self._nvml
