"""Jobs in every state, for requests that are made up and would meet none."""

import asyncio
import io
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Final, Self
from uuid import UUID, uuid4

import httpx2
import requests
import schemathesis
from PIL import Image

from services.common.schemas import State
from tests.support.fakes import FakeWorker, bury
from tests.support.live_server import LiveGateway
from tests.support.messages import new_message

KINDS: Final = ("unknown", "queued", "running", "succeeded", "failed", "removed")
CHANGING: Final = ("DELETE", "POST")


def _picture(colour: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), colour).save(buffer, "png")
    return buffer.getvalue()


PICTURES: Final = (_picture("red"), _picture("blue"))


class Population:
    """Sends schemathesis' requests, after it put a real job into those that name one."""

    def __init__(self, live: LiveGateway) -> None:
        self.url = live.url
        self._live = live
        self._worker = FakeWorker(live.backends)
        self._client = httpx2.Client(base_url=live.url)
        self._session = requests.Session()
        self._jobs: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()
        self._session.close()

    def send(self, case: schemathesis.Case[Any]) -> None:
        """Raises what schemathesis finds. What is invalid on purpose stays so."""
        if case.meta is None or case.meta.generation.mode.is_positive:
            if "Idempotency-Key" in case.headers:
                # Two examples are two requests; a key used again with another body is rightly refused.
                case.headers["Idempotency-Key"] = uuid4().hex
            if "job_id" in case.path_parameters:
                case.path_parameters["job_id"] = self._job(case.path_parameters["job_id"], case.method)
            if "index" in case.path_parameters:
                case.path_parameters["index"] = int(case.path_parameters["index"]) % (2 * len(PICTURES))
            if "message_id" in case.path_parameters and (kind := len(str(case.path_parameters["message_id"])) % 3):
                case.path_parameters["message_id"] = self.dead_letter(ended=kind == 1)
        case.call_and_validate(base_url=self._live.url, session=self._session)

    @contextmanager
    def working(self) -> Iterator[None]:
        """Every queued job is made while the block runs."""
        stop = threading.Event()
        work = asyncio.run_coroutine_threadsafe(self._work(stop), self._live.loop)
        try:
            yield
        finally:
            stop.set()
            work.result(20)

    async def _work(self, stop: threading.Event) -> None:
        done = ""
        while not stop.is_set():
            for record in await self._live.backends.statuses.list(done):
                done = record.job_id
                if record.state is State.QUEUED:
                    await self._worker.succeed(done, *PICTURES)
            await asyncio.sleep(0.01)

    def _job(self, drawn: str, method: str) -> str:
        kind = KINDS[UUID(drawn).int % len(KINDS)]
        if kind == "unknown":
            return drawn
        if method in CHANGING:
            return self.made(kind)
        if kind not in self._jobs:
            self._jobs[kind] = self.made(kind)
        return self._jobs[kind]

    def made(self, kind: str) -> str:
        """A new job in this state; a running one shows a preview."""
        job_id: str = self._client.post("/v1/jobs", json={"prompt": "mug", "num_images": 2}).json()["id"]
        match kind:
            case "running":
                self._run(self._worker.show(job_id, b"preview"))
            case "succeeded":
                self._run(self._worker.succeed(job_id, *PICTURES))
            case "failed":
                self._run(self._worker.fail(job_id))
            case "removed":
                self._client.delete(f"/v1/jobs/{job_id}")
        return job_id

    def dead_letter(self, *, ended: bool) -> str:
        """The message id of a new one, of a job that is over or of one nobody knows."""
        message = new_message("studio-tiny")
        if ended:
            job_id = self.made("failed")
            message = message.model_copy(update={"job_id": job_id})
        self._run(bury(self._live.backends, message))
        return message.message_id

    def _run(self, work: Coroutine[Any, Any, Any]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._live.loop).result(20)
