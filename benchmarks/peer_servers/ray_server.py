"""Ray Serve: `serve.batch` in one replica that owns all cores.

The replica takes two batches of requests (`max_ongoing_requests`), so that the next batch is there when a call ends.
The call blocks the event loop in which batches form, as in Ray's own examples: with a thread, requests would form
small batches during a call, which then queue. Ray restarts a dead replica.
"""

import os
from typing import Any

import ray
from ray import serve
from starlette.requests import Request
from starlette.responses import Response

from benchmarks.peer_servers.pictures import BATCH_WINDOW_SECONDS, DEVICE, MAX_BATCH, Pictures

CORES = os.cpu_count() or 1
GPUS = 0 if DEVICE == "cpu" else 1


@serve.deployment(max_ongoing_requests=2 * MAX_BATCH, ray_actor_options={"num_cpus": CORES, "num_gpus": GPUS})
class StudioTiny:
    def __init__(self) -> None:
        self.pictures = Pictures()

    @serve.batch(max_batch_size=MAX_BATCH, batch_wait_timeout_s=BATCH_WINDOW_SECONDS)
    async def draw(self, orders: list[dict[str, Any]]) -> list[bytes]:
        return self.pictures.draw([order["prompt"] for order in orders], [order["seed"] for order in orders])

    async def __call__(self, request: Request) -> Response:
        return Response(await self.draw(await request.json()), media_type="image/png")


if __name__ == "__main__":
    ray.init(num_cpus=CORES, num_gpus=GPUS, include_dashboard=False)
    serve.start(http_options={"host": "127.0.0.1", "port": int(os.environ["PEER_PORT"])})
    app = StudioTiny.bind()  # type: ignore[attr-defined]  # the decorator has made it a deployment
    serve.run(app, route_prefix="/generate", blocking=True)
