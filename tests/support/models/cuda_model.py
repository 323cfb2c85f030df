"""The model that ships, in a model thread of its own on a CUDA device."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

import numpy as np
from PIL import Image

from services.common.catalogue.catalogue import Model
from services.common.catalogue.files import load_catalogue
from services.inference.adapters.txt2img import Txt2Img
from services.inference.runtime.adapter import QUIET, Item
from services.inference.runtime.executor import ModelExecutor
from services.inference.runtime.outputs import ImageOutput, Output
from services.inference.runtime.sources import resolve_source
from tests.support.system import ROOT

MODELS = ROOT / "models"
PRODUCTS = (
    "red mug",
    "blue vase",
    "green bottle",
    "white lamp",
    "black teapot",
    "yellow ball",
    "pink box",
    "brown jar",
)


def shipped(precision: str = "auto") -> Model:
    model = load_catalogue(MODELS / "models.toml", MODELS / "styles.toml").models["studio-tiny"]
    return model.model_copy(update={"options": {"precision": precision}})


@asynccontextmanager
async def open_executor(precision: str = "auto") -> AsyncIterator[ModelExecutor]:
    model = shipped(precision)
    adapter = Txt2Img(model, resolve_source(model, catalogue_folder=MODELS))
    async with ModelExecutor(adapter, device="cuda") as executor:
        await executor.load()
        yield executor


def items(count: int, **given: int) -> list[Item]:
    """Return `count` items of one job. Each has its own seed and product."""
    prompts = [f"a {PRODUCTS[index % len(PRODUCTS)]} on a white background" for index in range(count)]
    return [
        Item("job", index, index, prompt, "", shipped().parameters({"prompt": prompt, **given}))
        for index, prompt in enumerate(prompts)
    ]


async def draw(executor: ModelExecutor, *batch: Item) -> list[Image.Image]:
    return images(await executor.generate(batch, QUIET))


def images(outputs: Sequence[Output]) -> list[Image.Image]:
    return [output.image for output in outputs if isinstance(output, ImageOutput)]


def apart(one: Image.Image, other: Image.Image) -> int:
    """Return the largest difference of any value of any pixel, of 255."""
    return int(np.abs(np.asarray(one, np.int16) - np.asarray(other, np.int16)).max())


@contextmanager
def memory_left(count: int) -> Iterator[None]:
    """Limit the device to `count` bytes beyond those that this process holds now."""
    import torch

    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + count) / total)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
