"""What an exception says of the device, recognised by torch's words for CUDA, MPS and the CPU without importing it."""

from typing import Final

from services.common.errors import OutOfMemory

_OUT_OF_MEMORY: Final = (
    *("out of memory", "can't allocate memory", "not enough memory"),
    *("_status_alloc_failed", "device_allocation_failed"),  # cuBLAS and cuDNN want some of their own
)

# After these every call on the device fails until the process ends: an illegal address, a failed assertion, a launch
# that did not come back. torch.AcceleratorError is theirs alone, and older versions raise plain RuntimeErrors.
_DEVICE_FAILED: Final = ("CUDA error:", "HIP error:", "cuDNN error:")

_REFUSED: Final = "_STATUS_NOT_SUPPORTED"  # cuBLAS and cuDNN have no way to do it, and the device is as it was

# The same words where this device never will do, whatever process asks.
_NEVER: Final = ("invalid device ordinal", "no kernel image", "invalid device function", "unsupported display driver")


def is_out_of_memory(exc: Exception) -> bool:
    if isinstance(exc, MemoryError | OutOfMemory) or type(exc).__name__ == "OutOfMemoryError":
        return True
    return isinstance(exc, RuntimeError) and any(words in str(exc).lower() for words in _OUT_OF_MEMORY)


def is_device_failure(exc: Exception) -> bool:
    failed = isinstance(exc, RuntimeError) and str(exc).startswith(_DEVICE_FAILED) and _REFUSED not in first_line(exc)
    return failed or type(exc).__name__ == "AcceleratorError"


def may_pass(exc: Exception) -> bool:
    """Of an exception at the first use of a device: whether another process may have more luck in a while."""
    never = any(words in str(exc) for words in _NEVER)
    return is_out_of_memory(exc) or (is_device_failure(exc) and not never)


def first_line(exc: Exception) -> str:
    return str(exc).partition("\n")[0]
