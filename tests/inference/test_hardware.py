"""Which number format a device gets."""

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import torch

from services.inference.hardware import choose_hardware


def test_bfloat16_that_is_only_emulated() -> None:
    """A GPU without bfloat16 of its own gets float16, and it is that GPU which is asked, not the first."""
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
