"""The same seed gives the same image on a GPU: the same bytes alone, and nearly the same in any batch."""

import pytest

from tests.support.models.cuda_model import apart, draw, items, open_executor

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.gpu,
    pytest.mark.filterwarnings("ignore:__array_:DeprecationWarning"),  # diffusers' schedulers, under numpy 2
]

# Of 255. The notes on ADR 29 give 8 for an H100 in bfloat16; the promise for `auto`, float16, was not measured on a GPU
# yet. Images of other seeds are more than 100 apart.
APART = {"auto": 2, "bfloat16": 12, "float32": 1}


@pytest.mark.parametrize("precision", APART)
async def test_same_seed_same_bytes(precision: str) -> None:
    """A seed drawn again after others, and by a worker started anew, gives the same bytes."""
    one, *others = items(4)
    async with open_executor(precision) as executor:
        (first,) = await draw(executor, one)
        await draw(executor, *others)
        (again,) = await draw(executor, one)
    async with open_executor(precision) as executor:
        (anew,) = await draw(executor, one)
    assert first.tobytes() == again.tobytes() == anew.tobytes()


@pytest.mark.parametrize("precision", APART)
async def test_images_of_a_batch_are_those_drawn_alone(precision: str) -> None:
    """In a batch of 2, 4 or 8 an image differs from the one drawn alone by at most the promised bound."""
    batch = items(8)
    async with open_executor(precision) as executor:
        alone = [(await draw(executor, item))[0] for item in batch]
        found = {size: await draw(executor, *batch[:size]) for size in (2, 4, 8)}
    worst = {size: max(apart(*pair) for pair in zip(drawn, alone[:size], strict=True)) for size, drawn in found.items()}
    assert max(worst.values()) <= APART[precision], worst
    assert apart(alone[0], alone[1]) > 100
