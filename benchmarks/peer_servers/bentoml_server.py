"""BentoML: adaptive batching in one service, behind another service that takes single requests.

Its documentation serves a batchable endpoint with several parameters in this way:
https://docs.bentoml.com/en/latest/get-started/adaptive-batching.html#handle-multiple-parameters
The window adapts to the load. `max_latency_ms` stays at its default of 60 s, because BentoML refuses requests that
would take longer. The batch is as large as the pipeline's.
"""

from typing import Annotated

import bentoml
from pydantic import BaseModel

from benchmarks.peer_servers.pictures import DEVICE, MAX_BATCH, Pictures


class Order(BaseModel):
    prompt: str
    seed: int


GPUS = {} if DEVICE == "cpu" else {"resources": {"gpu": 1}}


@bentoml.service(workers=1, traffic={"timeout": 120}, logging={"access": {"enabled": False}}, **GPUS)
class StudioTiny:
    def __init__(self) -> None:
        self.pictures = Pictures()

    @bentoml.api(batchable=True, max_batch_size=MAX_BATCH)
    def draw(self, orders: list[Order]) -> list[bytes]:
        return self.pictures.draw([order.prompt for order in orders], [order.seed for order in orders])


@bentoml.service(workers=1, traffic={"timeout": 120}, logging={"access": {"enabled": False}})
class Studio:
    tiny = bentoml.depends(StudioTiny)

    @bentoml.api
    async def generate(self, prompt: str, seed: int) -> Annotated[bytes, bentoml.validators.ContentType("image/png")]:
        pictures: list[bytes] = await self.tiny.to_async.draw([Order(prompt=prompt, seed=seed)])
        return pictures[0]
