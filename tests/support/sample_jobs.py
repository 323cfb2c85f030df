"""Jobs in every state, for generated requests that would otherwise name no job."""

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
from tests.support.fakes import FakeWorker, dead_letter
from tests.support.live_server import LiveGateway
from tests.support.messages import new_message
from tests.support.sounds import wav_of

KINDS: Final = ("unknown", "queued", "running", "succeeded", "failed", "removed")
CHANGING: Final = ("DELETE", "POST")


def _png(colour: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), colour).save(buffer, "png")
    return buffer.getvalue()


IMAGES: Final = (_png("red"), _png("blue"))
TRANSCRIPT: Final = b'{"text": "Mug.", "language": "en", "duration": 1.0, "segments": []}'
SOUND: Final = wav_of(bytes(8000), 8000)
RESULTS: Final = {"tts": ((SOUND,), "audio/wav"), "stt": ((TRANSCRIPT,), "application/json")}  # by modality


class SampleJobs:
    """Sends schemathesis' requests, with the id of a real job in those that name one."""

    def __init__(self, live: LiveGateway) -> None:
        self.url = live.url
        self._live = live
        self._worker = FakeWorker(live.backends)
        self._client = httpx2.Client(base_url=live.url)
        self._session = requests.Session()
        self._jobs: dict[str, str] = {}
        self._inputs: dict[str, str] = {}  # by kind

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()
        self._session.close()

    def send(self, case: schemathesis.Case[Any]) -> None:
        """Send the request and raise the failures that schemathesis finds. Deliberately invalid ones stay invalid."""
        if case.meta is None or case.meta.generation.mode.is_positive:
            if "Idempotency-Key" in case.headers:
                # Each example is a new request; a key used again with another body would be refused.
                case.headers["Idempotency-Key"] = uuid4().hex
            if "job_id" in case.path_parameters:
                case.path_parameters["job_id"] = self._job(case.path_parameters["job_id"], case.method)
            if "index" in case.path_parameters:
                case.path_parameters["index"] = int(case.path_parameters["index"]) % (2 * len(IMAGES))
            if "input_id" in case.path_parameters and UUID(case.path_parameters["input_id"]).int % 2:
                case.path_parameters["input_id"] = self.create_input()
            if isinstance(case.body, dict):
                self._give_files(case.body)
            if "message_id" in case.path_parameters and (kind := len(str(case.path_parameters["message_id"])) % 3):
                case.path_parameters["message_id"] = self.create_dead_letter(ended=kind == 1)
        case.call_and_validate(base_url=self._live.url, session=self._session)

    @contextmanager
    def working(self) -> Iterator[None]:
        """Finish every queued job while the block runs."""
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
                    files, media_type = RESULTS.get(record.message.modality, (IMAGES, "image/png"))
                    await self._worker.succeed(done, *files, media_type=media_type)
            await asyncio.sleep(0.01)

    def _job(self, drawn: str, method: str) -> str:
        kind = KINDS[UUID(drawn).int % len(KINDS)]
        if kind == "unknown":
            return drawn
        if method in CHANGING:
            return self.create(kind)
        if kind not in self._jobs:
            self._jobs[kind] = self.create(kind)
        return self._jobs[kind]

    def create(self, kind: str) -> str:
        """Create a job in this state and return its id; a running job has a preview."""
        job_id: str = self._client.post("/v1/jobs", json={"prompt": "mug", "num_images": 2}).json()["id"]
        match kind:
            case "running":
                self._run(self._worker.show(job_id, b"preview"))
            case "succeeded":
                self._run(self._worker.succeed(job_id, *IMAGES))
            case "failed":
                self._run(self._worker.fail(job_id))
            case "removed":
                self._client.delete(f"/v1/jobs/{job_id}")
        return job_id

    def create_input(self, kind: str = "image") -> str:
        """Send in a picture or a sound, unless one is there, and return its id."""
        known = self._inputs.get(kind)
        if known is None or self._client.get(f"/v1/inputs/{known}").status_code == 404:
            content = IMAGES[0] if kind == "image" else SOUND
            self._inputs[kind] = str(self._client.post("/v1/inputs", content=content, timeout=30).json()["id"])
        return self._inputs[kind]

    def _give_files(self, body: dict[str, Any]) -> None:
        """Put the id of a real file in place of those that no schema can know."""
        for kind in body.keys() & {"image", "audio"}:
            body[kind] = self.create_input(kind)

    def create_dead_letter(self, *, ended: bool) -> str:
        """Create a dead letter of an ended job, or of an unknown one, and return its message id."""
        message = new_message("studio-tiny")
        if ended:
            job_id = self.create("failed")
            message = message.model_copy(update={"job_id": job_id})
        self._run(dead_letter(self._live.backends, message))
        return message.message_id

    def _run(self, work: Coroutine[Any, Any, Any]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._live.loop).result(20)
