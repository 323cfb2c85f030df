"""Which device a model runs on, and in which number format."""

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.common.errors import ModelUnavailable

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Hardware:
    """`generator_device` is where random numbers are drawn: on the CPU where the device's own are not repeatable."""

    device: "torch.device"
    dtype: "torch.dtype"

    @property
    def generator_device(self) -> str:
        return "cpu" if self.device.type == "mps" else str(self.device)


def prepare_torch(threads: int) -> None:
    """Call in the model thread, before anything loads torch: OpenMP reads its environment when it is loaded.

    By default its threads spin while they wait for each other; with fewer free cores than threads every call then
    takes about ten times as long. Raises ModelUnavailable when torch is not installed.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        import torch
    except ImportError as exc:
        raise ModelUnavailable(f"{exc}: install the extra `inference` of this package") from exc
    torch.set_num_threads(threads)
    torch.backends.cudnn.deterministic = True  # the same seed gives the same bytes


def choose_hardware(device: str) -> Hardware:
    """`auto` takes CUDA, then MPS, then the CPU. Raises ModelUnavailable when torch cannot use what was named."""
    import torch

    try:
        chosen = torch.device(_best() if device == "auto" else device)
        torch.empty(1, device=chosen)
    except (RuntimeError, AssertionError, NotImplementedError) as exc:
        reason = str(exc).partition("\n")[0]
        raise ModelUnavailable(
            f"device {device!r} cannot be used: {reason}; set STUDIO_DEVICE to auto, or install a torch built for it"
        ) from exc
    return Hardware(chosen, _dtype(chosen))


def free_device_cache() -> None:
    """Give back what torch keeps for later on every device it has used."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()


def _best() -> str:
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _dtype(device: "torch.device") -> "torch.dtype":
    import torch

    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    return torch.float16 if device.type == "mps" else torch.float32
