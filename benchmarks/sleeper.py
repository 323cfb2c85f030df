"""A model adapter for benchmarks: a call takes as long as on an accelerator and uses no CPU time."""

import time
from collections.abc import Sequence
from typing import Final

from services.inference.runtime.adapter import Context, Item, ModelAdapter
from services.inference.runtime.outputs import ImageOutput, Output

CALL_SECONDS: Final = 0.05


class Sleeper(ModelAdapter):
    modality = "txt2img"
    max_batch = 1

    def load(self, device: str) -> None:  # noqa: ARG002 - no device is used
        from PIL import Image

        self._picture = Image.new("RGB", (64, 64))

    def generate(self, batch: Sequence[Item], context: Context) -> list[Output]:  # noqa: ARG002 - too short
        time.sleep(CALL_SECONDS)
        return [ImageOutput(self._picture) for _ in batch]

    def close(self) -> None:
        pass
