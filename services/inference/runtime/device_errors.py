"""Tells failures of the device by torch's messages for CUDA, MPS and the CPU, without importing torch."""

from typing import Final

from services.common.errors import OutOfMemory

_OUT_OF_MEMORY: Final = (
    *("out of memory", "can't allocate memory", "not enough memory"),
    *("_status_alloc_failed", "device_allocation_failed"),  # memory that cuBLAS and cuDNN allocate themselves
)

# After these every call on the device fails until the process ends: an illegal address, a failed assertion, a launch
# that timed out. torch.AcceleratorError has no other cause; older versions raise plain RuntimeErrors.
_DEVICE_FAILED: Final = ("CUDA error:", "HIP error:", "cuDNN error:")

_REFUSED: Final = "_STATUS_NOT_SUPPORTED"  # cuBLAS and cuDNN refused the operation, and the device still works

# The same messages for a device that no process can use.
_NEVER: Final = ("invalid device ordinal", "no kernel image", "invalid device function", "unsupported display driver")


def is_out_of_memory(exc: Exception) -> bool:
    if isinstance(exc, MemoryError | OutOfMemory) or type(exc).__name__ == "OutOfMemoryError":
        return True
    return isinstance(exc, RuntimeError) and any(words in str(exc).lower() for words in _OUT_OF_MEMORY)


def is_device_failure(exc: Exception) -> bool:
    failed = isinstance(exc, RuntimeError) and str(exc).startswith(_DEVICE_FAILED) and _REFUSED not in first_line(exc)
    return failed or type(exc).__name__ == "AcceleratorError"


def may_pass(exc: Exception) -> bool:
    """Return whether a failed first use of a device may succeed later, in another process."""
    never = any(words in str(exc) for words in _NEVER)
    return is_out_of_memory(exc) or (is_device_failure(exc) and not never)


def first_line(exc: BaseException) -> str:
    """Return the first line of the message that says anything, with the next if that explains it, or the class."""
    lines = [line.strip() for line in str(exc).splitlines() if line.strip()]
    return " ".join(lines[: 2 if lines[0].endswith(":") else 1]) if lines else type(exc).__name__
