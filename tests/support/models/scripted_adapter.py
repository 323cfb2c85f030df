"""A model adapter for tests: paints a small picture from prompt and seed, and does on request what models do wrong.

The first word of the prompt is the request: FAIL raises, KEY raises where it is asked what may share a call, KILL takes
the process down, HANG never returns, OOM has too little memory, ODD makes
what is no picture, CUDA breaks the device for good, GIL keeps every other
thread from running for a second or so, SLOW takes forty steps of 50 ms and stops when cancelled. In a batch, that
happens to all of it.
"""

import hashlib
import io
import os
import signal
import time
from collections.abc import Hashable, Sequence
from contextlib import suppress
from pathlib import Path

from services.common.catalogue import Model
from services.common.params import Modality
from services.inference.runtime.adapter import Cancelled, Context, Item, ModelAdapter
from services.inference.runtime.outputs import Encoded, ImageOutput, Output, Preview
from services.inference.runtime.sources import Source

GIL_COUNT = 60_000_000


class Painter(ModelAdapter):
    """`options.calls` names a file that gets one line a picture: job id and index.

    With `options.gate`, the name of a file, loading takes until that file is there; a step takes `options.seconds`.
    """

    modality = Modality.TXT2IMG

    def __init__(self, model: Model, source: Source) -> None:
        super().__init__(model, source)
        self._calls = Path(str(model.options["calls"]))
        self._seconds = float(str(model.options.get("seconds", 0)))

    def load(self, device: str) -> None:
        gate = self.model.options.get("gate")
        while gate is not None and not Path(str(gate)).exists():
            time.sleep(0.02)

    def batch_key(self, item: Item) -> Hashable:
        if item.prompt.startswith("KEY"):
            raise LookupError("no key for this")
        return getattr(item.params, "steps", None)

    def generate(self, batch: Sequence[Item], context: Context) -> list[Output]:
        context.stage("denoise")
        with suppress(OSError), self._calls.open("a") as calls:  # the disk may be full
            calls.writelines(f"{item.job_id} {item.index}\n" for item in batch)
        requests = {item.prompt.split()[0] for item in batch}
        if "FAIL" in requests:
            raise RuntimeError("the pipeline broke, with a secret in it")
        if "KILL" in requests:
            os.kill(os.getpid(), signal.SIGKILL)
        if "HANG" in requests:
            time.sleep(3600)
        if "OOM" in requests:
            raise MemoryError("out of memory")
        if "CUDA" in requests:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        if "GIL" in requests:
            sum(range(GIL_COUNT))  # one call of a C function, which lets go of nothing
        steps, seconds = (40, 0.05) if "SLOW" in requests else (1, self._seconds)
        for step in range(steps):
            time.sleep(seconds)
            context.progress(step + 1, steps, lambda: [Preview(_painted(item).image) for item in batch])
            if all(context.cancelled(item.job_id) for item in batch):
                raise Cancelled
        context.stage("decode")
        return [Odd() if item.prompt.startswith("ODD") else _painted(item) for item in batch]

    def close(self) -> None:
        pass


class Odd:
    """An output that is none."""

    def encode(self, metadata: dict[str, str]) -> Encoded:
        raise ValueError("no picture, with a secret in it")


def _painted(item: Item) -> ImageOutput:
    from PIL import Image

    digest = hashlib.sha256(f"{item.prompt}|{item.seed}".encode()).digest()
    return ImageOutput(Image.frombytes("RGB", (2, 4), digest[:24]).resize((64, 64), Image.Resampling.NEAREST))


def shown(png: bytes) -> bytes:
    """The pixel rows a stored picture shows, to compare with `expected_picture`."""
    from PIL import Image

    return Image.open(io.BytesIO(png)).resize((2, 4), Image.Resampling.NEAREST).convert("RGB").tobytes()


def expected_picture(prompt: str, seed: int) -> bytes:
    """The pixel rows the painter makes of a prompt and a seed, for telling one job's picture from another's."""
    return hashlib.sha256(f"{prompt}|{seed}".encode()).digest()[:24]
