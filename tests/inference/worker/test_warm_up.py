"""The warm-up of a worker before its first job."""

import threading
from collections.abc import Callable, Sequence
from typing import cast

import pytest
from PIL import Image

from services.common.catalogue.catalogue import Model
from services.common.errors import GenerationError, ModelUnavailable
from services.common.modalities.images import ImageLimits
from services.inference.adapters.txt2img import Txt2Img
from services.inference.batching.timings import CallTimings
from services.inference.runtime.adapter import Context, Item, ModelAdapter
from services.inference.runtime.executor import ModelExecutor
from services.inference.runtime.outputs import Encoded, FilteredOutput, ImageOutput, Output
from services.inference.runtime.sources import Source
from services.inference.worker import warm_up as module
from services.inference.worker.warm_up import warm_up
from tests.support.models.items import item, tiny_model

pytestmark = pytest.mark.anyio


async def test_first_job_can_be_foretold(tiny: Model) -> None:
    """A worker that has made nothing yet knows how long the model's usual picture takes."""
    timings = CallTimings()
    async with ModelExecutor(Txt2Img(tiny, Source(tiny.source)), device="cpu") as executor:
        await executor.load()
        await warm_up(executor, timings, 60)

    assert list(timings.paces) == [tiny.contract.cost(tiny.defaults, {}).bucket]


async def test_slow_model_is_not_kept_from_its_jobs(tiny: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model whose picture takes long makes one step of it and no more."""
    monkeypatch.setattr(module, "SAMPLE_SECONDS", 0.0)
    timings = CallTimings()
    async with ModelExecutor(Txt2Img(tiny, Source(tiny.source)), device="cpu") as executor:
        await executor.load()
        await warm_up(executor, timings, 60)

    assert not timings.paces


class Sampler(ModelAdapter):
    """An adapter whose sample of four steps is made by `make`, which is given the number of steps."""

    modality = tiny_model().modality

    def __init__(self, make: Callable[[int], Output]) -> None:
        super().__init__(tiny_model(), Source("nowhere"))
        self._make = make

    def load(self, device: str) -> None:
        pass

    def generate(self, batch: Sequence[Item], context: Context) -> list[Output]:
        return [self._make(getattr(item.params, "steps", 0)) for item in batch]

    def sample(self) -> Item:
        return item(0)

    def close(self) -> None:
        pass


def _noise(width: int = 64, height: int = 64) -> ImageOutput:
    return ImageOutput(Image.effect_noise((width, height), 50).convert("RGB"))


def _flat(colour: str) -> ImageOutput:
    return ImageOutput(Image.new("RGB", (64, 64), colour))


def _raising(exc: BaseException) -> Callable[[int], Output]:
    def make(steps: int) -> Output:
        raise exc

    return make


class Broken:
    """An output that cannot be encoded."""

    def encode(self, metadata: dict[str, str]) -> Encoded:
        raise ValueError("no image")


FAULTY: dict[str, tuple[Callable[[int], Output], str]] = {
    "raises": (_raising(IndexError("index 900 is out of bounds")), "IndexError: index 900 is out of bounds; its files"),
    "exits": (_raising(SystemExit(1)), "SystemExit"),
    "is no picture": (_raising(GenerationError("its numbers overflowed")), "its numbers overflowed; its files"),
    "needs more memory": (_raising(MemoryError()), "lower `defaults` of [models.tiny] in the catalogue"),
    "cannot be encoded": (lambda _: Broken(), "ValueError: no image; its files"),
    "black": (lambda _: _flat("black"), "all pixels of the image have one colour; its files"),
    "grey": (lambda _: _flat("#7f7f7f"), "all pixels of the image have one colour"),
    "wider": (
        lambda _: _noise(width=128),
        "/width: the model makes 128 x 64 pixels where 64 x 64 are asked for; change",
    ),
    "lower": (lambda _: _noise(height=56), "/height: the model makes 64 x 56 pixels"),
}


@pytest.mark.parametrize(("make", "told"), FAULTY.values(), ids=FAULTY)
async def test_model_that_cannot_make_its_sample(make: Callable[[int], Output], told: str) -> None:
    """A model whose sample fails, or is no image as it was asked for, is refused with the reason and what to do."""
    async with ModelExecutor(Sampler(make)) as executor:
        await executor.load()
        with pytest.raises(ModelUnavailable) as caught:
            await warm_up(executor, CallTimings(), 60)
    assert str(caught.value).startswith("tiny cannot make its own sample: ")
    assert told in str(caught.value)


@pytest.mark.parametrize(
    "make",
    [
        lambda _steps: _noise(),
        lambda _steps: FilteredOutput(),
        lambda steps: _noise() if steps > 1 else _flat("black"),
        lambda steps: _noise() if steps > 1 else _raising(ValueError("at least 2 steps"))(steps),
    ],
    ids=["noise", "withheld", "black in one step", "more than one step"],
)
async def test_model_that_makes_its_sample(make: Callable[[int], Output]) -> None:
    """A model is ready that makes its whole sample, whatever one step makes, or whose checker withholds it."""
    async with ModelExecutor(Sampler(make)) as executor:
        await executor.load()
        await warm_up(executor, CallTimings(), 60)


async def test_defaults_beyond_the_limits() -> None:
    """A sample that the entry itself does not allow is refused with the entry to change."""
    sampler = Sampler(lambda _steps: _noise())
    sampler.sample = lambda: Txt2Img.sample(cast("Txt2Img", sampler))  # type: ignore[method-assign]
    sampler.model = sampler.model.model_copy(update={"defaults": {"width": 512}, "limits": ImageLimits(max_side=256)})
    async with ModelExecutor(sampler) as executor:
        await executor.load()
        with pytest.raises(ModelUnavailable, match=r"64 to 256.*change `defaults` or `limits` of \[models.tiny\]"):
            await warm_up(executor, CallTimings(), 60)


async def test_model_that_hangs() -> None:
    """A model whose sample does not come in time is refused with what to do, instead of being started for ever."""
    released = threading.Event()

    def hang(_steps: int) -> Output:
        released.wait(30)
        return _noise()

    async with ModelExecutor(Sampler(hang)) as executor:
        await executor.load()
        with pytest.raises(ModelUnavailable, match=r"tiny did not make .* within 0\.05 .* STUDIO_JOB_DEADLINE_SECONDS"):
            await warm_up(executor, CallTimings(), 0.05)
        released.set()
