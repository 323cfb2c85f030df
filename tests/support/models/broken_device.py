"""Break the CUDA device for this process, and print the exception of the executor.

Run as `python -m tests.support.models.broken_device`.
"""

import asyncio
from collections.abc import Sequence

from services.common.errors import DeviceFailed
from services.inference.adapters.txt2img import Txt2Img
from services.inference.runtime.adapter import QUIET, Context, Item
from services.inference.runtime.executor import ModelExecutor
from services.inference.runtime.outputs import Output
from services.inference.runtime.sources import Source
from tests.support.models.cuda_model import items, shipped


class Breaker(Txt2Img):
    def load(self, device: str) -> None:
        pass

    def generate(self, batch: Sequence[Item], context: Context) -> list[Output]:
        import torch

        torch.zeros(1, device="cuda")[torch.tensor([len(batch)], device="cuda")]
        torch.cuda.synchronize()
        return []

    def close(self) -> None:
        pass


async def main() -> str:
    async with ModelExecutor(Breaker(shipped(), Source("nowhere")), device="cuda") as executor:
        await executor.load()
        try:
            await executor.generate(items(1), QUIET)
        except DeviceFailed as exc:
            return f"DeviceFailed: {exc}"
    return "nothing"


if __name__ == "__main__":
    print(asyncio.run(main()), flush=True)  # noqa: T201
