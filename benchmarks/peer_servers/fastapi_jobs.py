"""FastAPI, uvicorn and taskiq-aio-pika doing the work of our gateway, built as their documentation shows.

A submit checks the body, writes a record to Redis, publishes a persistent message to a durable queue and waits for the
broker's confirmation (both are taskiq-aio-pika's defaults). A poll reads the record, builds the answer and its ETag,
and answers 304 to a client that sends this ETag. No worker runs, since only the front end is measured.
"""

import hashlib
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, Literal
from uuid import uuid4

from fastapi import FastAPI, Header, HTTPException, Response
from pydantic import BaseModel, ConfigDict, Field
from redis.asyncio import Redis
from taskiq_aio_pika import AioPikaBroker

RECORD_SECONDS = 3600

broker = AioPikaBroker(os.environ["PEER_BROKER_URL"])
records = Redis.from_url(os.environ["PEER_RESULTS_URL"])


@broker.task
def draw(params: dict[str, Any]) -> None:
    """Do nothing: no worker runs."""


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    await broker.startup()
    yield
    await broker.shutdown()
    await records.aclose()


class Order(BaseModel):
    model_config = ConfigDict(extra="forbid")

    prompt: Annotated[str, Field(min_length=1, max_length=1000)]
    seed: Annotated[int, Field(ge=0, lt=2**32)]


class Record(BaseModel):
    id: str
    state: Literal["queued", "running", "succeeded", "failed"]
    created_at: float
    params: Order


app = FastAPI(lifespan=lifespan)


@app.post("/v1/jobs", status_code=202)
async def submit(order: Order) -> Record:
    record = Record(id=uuid4().hex, state="queued", created_at=time.time(), params=order)
    await records.set(f"job:{record.id}", record.model_dump_json(), ex=RECORD_SECONDS)
    await draw.kicker().with_task_id(record.id).kiq(order.model_dump())
    return record


@app.get("/v1/jobs/{job_id}")
async def read(job_id: str, if_none_match: Annotated[str | None, Header()] = None) -> Response:
    found = await records.get(f"job:{job_id}")
    if found is None:
        raise HTTPException(404)
    content = Record.model_validate_json(found).model_dump_json().encode()
    headers = {"ETag": f'"{hashlib.sha256(content).hexdigest()[:32]}"', "Retry-After": "1"}
    if if_none_match == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type="application/json")
