"""A model adapter for tests: paints a small picture from prompt and seed, and does on request what models do wrong.

The first word of the prompt is the request: FAIL raises, KILL takes the process down, HANG never returns, SLOW
takes forty steps of 50 ms and stops when cancelled.
"""

import hashlib
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from services.common.catalogue import Model
from services.common.params import Modality
from services.inference.adapter import Cancelled, Context, Item, ModelAdapter
from services.inference.outputs import ImageOutput, Output
from services.inference.sources import Source


class Painter(ModelAdapter):
    """`options.calls` names a file that gets one line a picture: job id and index."""

    modality = Modality.TXT2IMG

    def __init__(self, model: Model, source: Source) -> None:
        super().__init__(model, source)
        self._calls = Path(str(model.options["calls"]))

    def load(self, device: str) -> None:
        pass

    def generate(self, batch: Sequence[Item], context: Context) -> list[Output]:
        return [self._paint(item, context) for item in batch]

    def close(self) -> None:
        pass

    def _paint(self, item: Item, context: Context) -> Output:
        from PIL import Image

        with self._calls.open("a") as calls:
            calls.write(f"{item.job_id} {item.index}\n")
        match item.prompt.split()[0]:
            case "FAIL":
                raise RuntimeError("the pipeline broke, with a secret in it")
            case "KILL":
                os.kill(os.getpid(), signal.SIGKILL)
            case "HANG":
                time.sleep(3600)
            case "SLOW":
                self._slowly(item, context)
            case _:
                context.progress(1, 1)
        digest = hashlib.sha256(f"{item.prompt}|{item.seed}".encode()).digest()
        return ImageOutput(Image.frombytes("RGB", (2, 4), digest[:24]).resize((64, 64), Image.Resampling.NEAREST))

    def _slowly(self, item: Item, context: Context) -> None:
        for step in range(40):
            time.sleep(0.05)
            context.progress(step + 1, 40)
            if context.cancelled(item.job_id):
                raise Cancelled


def expected_picture(prompt: str, seed: int) -> bytes:
    """The pixel rows the painter makes of a prompt and a seed, for telling one job's picture from another's."""
    return hashlib.sha256(f"{prompt}|{seed}".encode()).digest()[:24]
