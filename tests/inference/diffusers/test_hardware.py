"""The choice of a device and of its number format."""

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import pytest
import torch

from services.common.errors import DeviceFailed, ModelUnavailable
from services.inference.diffusers.hardware import choose_hardware


def test_bfloat16_that_is_only_emulated() -> None:
    """A GPU without native bfloat16 gets float16; torch is asked about that GPU, not about the first."""
    current: list[str] = []

    @contextmanager
    def device(chosen: torch.device) -> Iterator[None]:
        current.append(str(chosen))
        yield
        current.pop()

    def supported(*, including_emulation: bool = True) -> bool:
        return including_emulation or current == ["cuda:1"]

    with (
        patch("torch.empty"),
        patch("torch.cuda.device", device),
        patch("torch.cuda.is_bf16_supported", supported),
    ):
        assert choose_hardware("cuda:0").dtype is torch.float16
        assert choose_hardware("cuda:1").dtype is torch.bfloat16


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (RuntimeError("CUDA error: all CUDA-capable devices are busy or unavailable\nmore"), DeviceFailed),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 MiB"), DeviceFailed),
        (RuntimeError("CUDA error: invalid device ordinal\nmore"), ModelUnavailable),
        (RuntimeError("Found no NVIDIA driver on your system"), ModelUnavailable),
        (AssertionError("Torch not compiled with CUDA enabled"), ModelUnavailable),
    ],
)
def test_device_that_cannot_be_used(failure: Exception, expected: type[Exception]) -> None:
    """A device that may be usable later is a failed device; one that never can be is refused with what to do."""
    with patch("torch.empty", side_effect=failure), pytest.raises(expected) as caught:
        choose_hardware("cuda:3")
    assert str(caught.value).startswith("device 'cuda:3' cannot be used")
    assert "more" not in str(caught.value)
