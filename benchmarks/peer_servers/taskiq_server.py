"""FastAPI in front of taskiq: a RabbitMQ queue by taskiq-aio-pika, results in Redis.

taskiq has no batching: its worker runs one task an image. One thread generates, because pipeline calls must not
overlap; a second task may save its result meanwhile. A message is acknowledged when its result is saved, the latest
choice there is, and the process manager restarts a dead worker. The queue is a durable quorum queue, as by default.
"""

import base64
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import FastAPI, HTTPException, Response
from pydantic import BaseModel
from taskiq import TaskiqDepends, TaskiqEvents, TaskiqState
from taskiq_aio_pika import AioPikaBroker
from taskiq_redis import RedisAsyncResultBackend

from benchmarks.peer_servers.pictures import Pictures

RESULT_SECONDS = 600
POLL_SECONDS = 0.05  # the default of 0.2 is half the time of an image
WAIT_SECONDS = 120

results = RedisAsyncResultBackend(os.environ["PEER_RESULTS_URL"], result_ex_time=RESULT_SECONDS)
broker = AioPikaBroker(os.environ["PEER_BROKER_URL"], qos=4).with_result_backend(results)


@broker.on_event(TaskiqEvents.WORKER_STARTUP)
async def load(state: TaskiqState) -> None:
    state.pictures = Pictures()


@broker.task
def draw(prompt: str, seed: int, state: Annotated[TaskiqState, TaskiqDepends()]) -> str:
    """Return the PNG in Base64, because taskiq converts every result to JSON."""
    picture: bytes = state.pictures.draw([prompt], [seed])[0]
    return base64.b64encode(picture).decode()


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    await broker.startup()
    yield
    await broker.shutdown()


app = FastAPI(lifespan=lifespan)


class Order(BaseModel):
    prompt: str
    seed: int


@app.post("/generate")
async def generate(order: Order) -> Response:
    task = await draw.kiq(order.prompt, order.seed)
    result = await task.wait_result(check_interval=POLL_SECONDS, timeout=WAIT_SECONDS)
    if result.is_err:
        raise HTTPException(500, str(result.error))
    return Response(base64.b64decode(result.return_value), media_type="image/png")
