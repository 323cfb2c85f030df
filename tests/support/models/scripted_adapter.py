"""A model adapter for tests: it makes a small image from prompt and seed, and fails as the prompt's first word says.

FAIL raises, KEY raises in `batch_key`, KILL kills the process, HANG never returns, OOM raises MemoryError, ODD returns
an output that cannot be encoded, CUDA raises a device error, GIL holds the interpreter lock for about a second, SLOW
takes forty steps of 50 ms, LONG a hundred and fifty, and both stop when cancelled. A batch fails as a whole. NSFW
withholds every image, SOME the first one, and warns. LARGE makes a file of 9.7 MB.
"""

import hashlib
import io
import os
import signal
import time
from collections.abc import Hashable, Sequence
from contextlib import suppress
from pathlib import Path

from services.common.catalogue.catalogue import Model
from services.inference.runtime.adapter import Cancelled, Context, Item, ModelAdapter
from services.inference.runtime.outputs import Encoded, FilteredOutput, ImageOutput, Output, Preview
from services.inference.runtime.sources import Source

GIL_COUNT = 60_000_000
LARGE_SIDE = 1800  # of noise, which does not compress


class ScriptedAdapter(ModelAdapter):
    """`options.calls` names a file that gets one line an image: job id and index.

    With `options.gate`, the name of a file, loading waits until that file exists; with `options.deadly` it kills the
    process. A step takes `options.seconds`.
    """

    modality = "txt2img"

    def __init__(self, model: Model, source: Source) -> None:
        super().__init__(model, source)
        self._calls = Path(str(model.options["calls"]))
        self._seconds = float(str(model.options.get("seconds", 0)))

    def load(self, device: str) -> None:
        if self.model.options.get("deadly"):
            os.kill(os.getpid(), signal.SIGKILL)
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
            sum(range(GIL_COUNT))  # one call of a C function, which never releases the lock
        steps, seconds = 1, self._seconds
        for word, count in (("SLOW", 40), ("LONG", 150)):
            if word in requests:
                steps, seconds = count, 0.05
        for step in range(steps):
            time.sleep(seconds)
            context.progress(step + 1, steps, lambda: [Preview(_image(item).image) for item in batch])
            if all(context.cancelled(item.job_id) for item in batch):
                raise Cancelled
        context.stage("decode")
        for item in batch:
            if item.prompt.startswith("SOME"):
                context.warn(item.job_id, "parameter-unused", "the weather had no effect: it never has")
        return [_output(item) for item in batch]

    def close(self) -> None:
        pass


class UnencodableOutput:
    """An output that cannot be encoded."""

    def encode(self, metadata: dict[str, str]) -> Encoded:
        raise ValueError("no image, with a secret in it")


def _output(item: Item) -> Output:
    match item.prompt.split()[0], item.index:
        case ("ODD", _):
            return UnencodableOutput()
        case ("NSFW", _) | ("SOME", 0):
            return FilteredOutput()
        case ("LARGE", _):
            return _large_image()
    return _image(item)


def _image(item: Item) -> ImageOutput:
    from PIL import Image

    digest = hashlib.sha256(f"{item.prompt}|{item.seed}".encode()).digest()
    return ImageOutput(Image.frombytes("RGB", (2, 4), digest[:24]).resize((64, 64), Image.Resampling.NEAREST))


def _large_image() -> ImageOutput:
    from PIL import Image

    return ImageOutput(Image.frombytes("RGB", (LARGE_SIDE, LARGE_SIDE), os.urandom(3 * LARGE_SIDE**2)))


def pixels_of(png: bytes) -> bytes:
    """Return the pixels of a stored image, to compare with `expected_pixels`."""
    from PIL import Image

    return Image.open(io.BytesIO(png)).resize((2, 4), Image.Resampling.NEAREST).convert("RGB").tobytes()


def expected_pixels(prompt: str, seed: int) -> bytes:
    """Return the pixels that the adapter makes of this prompt and seed, which tell one job's image from another's."""
    return hashlib.sha256(f"{prompt}|{seed}".encode()).digest()[:24]
