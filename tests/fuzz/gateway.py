"""The target of the fuzzer: a real gateway with jobs in every state, which a fake worker ends and cleans up."""

import asyncio
import random
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from starlette.routing import Route

from services.api.app import create_app
from services.common.brokers.sqlite import SQLiteBroker
from services.common.catalogue.catalogue import Catalogue
from services.common.catalogue.files import load_catalogue
from services.common.schemas import State, StatusRecord
from tests.api.conftest import embedded_settings
from tests.support.fakes import FakeWorker, dead_letter, stored_image
from tests.support.live_server import LiveGateway

MODELS: Final = Path(__file__).parents[2] / "models"
KEPT: Final = 200  # jobs whose ids requests name
WAITING: Final = 10  # jobs left alone for a while, so that some are queued and some run


class FuzzTarget:
    """A running gateway; `routes` pairs the methods of its routes with the templates of their paths."""

    def __init__(self, live: LiveGateway, routes: list[tuple[str, str]]) -> None:
        self.live = live
        self.routes = routes
        self._ids: deque[str] = deque(["no-job-yet"], KEPT)
        self._worker = FakeWorker(live.backends)
        self._random = random.Random(1)  # noqa: S311 - nothing secret
        self._stop = threading.Event()

    def some_id(self, source: random.Random) -> str:
        return source.choice(tuple(self._ids))

    @contextmanager
    def at_work(self) -> Iterator[None]:
        work = asyncio.run_coroutine_threadsafe(self._work(), self.live.loop)
        try:
            yield
        finally:
            self._stop.set()
            work.result(20)

    async def _work(self) -> None:
        while not self._stop.is_set():
            records = await self.live.backends.statuses.list(limit=1000)
            self._ids.extend(record.job_id for record in records if record.job_id not in self._ids)
            for record in records[: max(len(records) - WAITING, 0)]:
                await self._end(record)
            for record in records:
                # OpenAI's clients wait for their jobs.
                if self._random.random() < (0.3 if record.state is State.QUEUED else 0.05):
                    await self._end(record)
            broker = self.live.backends.broker
            assert isinstance(broker, SQLiteBroker)
            await broker._file.write(lambda connection: connection.execute("DELETE FROM messages").rowcount)
            await broker._file.write(
                lambda connection: (
                    connection.execute(
                        "DELETE FROM dead_letters WHERE place < (SELECT max(place) FROM dead_letters) - 20"
                    ).rowcount
                )
            )
            await asyncio.sleep(0.02)

    async def _end(self, record: StatusRecord) -> None:
        """End the job in a random way; a request may have canceled or removed it meanwhile."""
        with suppress(AssertionError, Exception):
            match self._random.randrange(5):
                case 0:
                    await self._worker.fail(record.job_id)
                    await dead_letter(self.live.backends, record.message)
                    self._ids.append(record.message.message_id)
                case 1 if record.state is State.QUEUED:
                    await self._worker.show(record.job_id, stored_image())
                case _:
                    await self._worker.succeed(record.job_id, stored_image())


@contextmanager
def open_target(folder: Path) -> Iterator[FuzzTarget]:
    catalogue: Catalogue = load_catalogue(MODELS / "models.toml", MODELS / "styles.toml")
    settings = embedded_settings(
        folder, max_body_bytes=20_000, body_deadline_seconds=0.2, image_wait_seconds=30, queue_limit=1_000_000
    )
    served = [route for route in create_app(settings, catalogue).routes if isinstance(route, Route)]
    routes = [(method, route.path) for route in served for method in (route.methods or set()) - {"HEAD"}]
    with LiveGateway(settings, catalogue) as live:
        often = [("POST", "/v1/jobs")] * 5 + [("POST", "/"), ("GET", "/v1/jobs/{job_id}")] * 2
        target = FuzzTarget(live, [*routes, *often, ("GET", "/static/studio.css"), ("GET", "/nowhere")])
        with target.at_work():
            yield target
