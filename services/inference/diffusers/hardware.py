"""Which device a model runs on, and in which number format."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from services.common.errors import DeviceFailed, ModelUnavailable
from services.inference.runtime.device_errors import first_line, may_pass

if TYPE_CHECKING:
    import torch


PRECISIONS: Final = ("auto", "float32", "bfloat16")


@dataclass(frozen=True)
class Hardware:
    """`dtype` is what weights are kept in, `compute` what the denoiser calculates in: see rounding.py.

    `generator_device` is where random numbers are drawn: on the CPU where the device's own are not repeatable.
    """

    device: "torch.device"
    dtype: "torch.dtype"
    compute: "torch.dtype"

    @property
    def generator_device(self) -> str:
        return "cpu" if self.device.type == "mps" else str(self.device)

    def for_unet(self) -> "Hardware":
        """float16 for bfloat16 weights: UNets stay within its range, and it rounds to an eighth; see ADR 29."""
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
    """`auto` takes CUDA, then MPS, then the CPU, and for it the precision that is fastest and still draws well.

    Raises ModelUnavailable when torch cannot use what was named, and DeviceFailed when it perhaps will in a while.
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
    """Wait for what was asked of the device: it is queued there, and without this only the asking would be timed."""
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


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
