"""The choice of the device that a model runs on, and of its number formats."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, get_args

from services.common.catalogue.adapter_options import Precision
from services.common.errors import DeviceFailed, ModelUnavailable
from services.inference.runtime.device_errors import first_line, may_pass

if TYPE_CHECKING:
    import torch


PRECISIONS: Final = get_args(Precision)


@dataclass(frozen=True)
class Hardware:
    """A device, the format `dtype` of the weights, and the format `compute` that the denoiser calculates in.

    See rounding.py for why they differ.
    """

    device: "torch.device"
    dtype: "torch.dtype"
    compute: "torch.dtype"

    @property
    def generator_device(self) -> str:
        """The device that draws random numbers: the CPU where the device's own numbers are not repeatable."""
        return "cpu" if self.device.type == "mps" else str(self.device)

    def prepare_process(self) -> None:
        """Let convolutions round to TF32 only for a model in half precision. Other models of the process may differ."""
        import torch

        torch.backends.cudnn.allow_tf32 = self.compute != torch.float32

    def for_unet(self) -> "Hardware":
        """Return float16 in place of bfloat16: UNets stay within its range, and it rounds to an eighth. See ADR 29."""
        import torch

        return replace(self, dtype=torch.float16, compute=torch.float16) if self.dtype == torch.bfloat16 else self


def prepare_torch(threads: int) -> None:
    """Load torch and give it `threads` CPU threads. Call it in the model thread: torch counts per calling thread.

    Raise ModelUnavailable without torch.
    """
    try:
        import torch
    except ImportError as exc:
        raise ModelUnavailable(f"{exc}: install the extra `inference` of this package") from exc
    torch.set_num_threads(threads)
    torch.backends.cudnn.deterministic = True  # the same seed gives the same bytes


def choose_hardware(device: str, precision: str = "auto") -> Hardware:
    """Return the named device with its formats. `auto` takes CUDA, then MPS, then the CPU.

    The precision `auto` is the fastest in which the device still draws well. Raise ModelUnavailable for a device or
    precision that torch cannot use, and DeviceFailed for a device that may be usable later.
    """
    import torch

    if precision not in PRECISIONS:
        raise ModelUnavailable(f"precision {precision!r} is none of {', '.join(PRECISIONS)}; see the model's `options`")
    try:
        chosen = torch.device(_best() if device == "auto" else device)
        torch.empty(1, device=chosen)
    except (RuntimeError, AssertionError, NotImplementedError) as exc:
        if may_pass(exc):
            raise DeviceFailed(f"device {device!r} cannot be used now: {first_line(exc)}") from exc
        raise ModelUnavailable(
            f"device {device!r} cannot be used: {first_line(exc)}; "
            f"set STUDIO_DEVICE to auto, or install a torch built for it"
        ) from exc
    if precision != "auto":
        return Hardware(chosen, torch.float32, getattr(torch, precision))
    dtype = _dtype(chosen)
    return Hardware(chosen, dtype, torch.bfloat16 if chosen.type == "cpu" and _cpu_multiplies_bfloat16() else dtype)


def finish_device_work(device: "torch.device") -> None:
    """Wait until the device has done its queued work, so that a stage is timed by its work and not by its launch."""
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def free_device_cache() -> None:
    """Give back the memory that torch has cached on every device it has used."""
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


def _cpu_multiplies_bfloat16() -> bool:
    import torch

    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16"))


def _dtype(device: "torch.device") -> "torch.dtype":
    import torch

    if device.type == "cuda":
        # A GPU that only emulates bfloat16 multiplies float16 itself. torch asks the current device.
        with torch.cuda.device(device):
            return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    return torch.float16 if device.type == "mps" else torch.float32
