"""The batcher: the one loop that forms batches, loads their models and has them made."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress

from services.common.errors import DeadlineExceeded, HandedBack, ModelUnavailable, ThreadLost
from services.inference.batching.batch import Batch
from services.inference.batching.batch_calls import BatchCalls
from services.inference.batching.model_memory import ModelMemory
from services.inference.batching.request import BatchRequest, RequestState
from services.inference.batching.scheduler import BatchScheduler
from services.inference.batching.served_model import ServedModel
from services.inference.batching.window import WINDOW_SECONDS, BatchWindow
from services.inference.job.heartbeat import Heartbeat
from services.inference.runtime.adapter import Item
from services.inference.runtime.outputs import Preview


class Batcher:
    """Owns the one loop that forms batches and makes them. Enter `running`; then jobs may enter a `request` each.

    The life of a batch: the scheduler picks items, their jobs are called and begin, the model thread makes the batch,
    and each job gets its outputs. The next batch is formed while the last outputs of this one are made, so the thread
    does not wait for jobs to begin.

    Where the scheduler picks a model that is not loaded, that is loaded between two calls and before any of its jobs
    begins: none is charged for a load. A model that cannot be loaded is served no more; the others are. A load that
    hangs loses the thread, as a call does.

    Once the model thread is `lost`, `loss` says how, nothing more is made, and the worker has to leave. No job may
    bear that loss: the job that hung may have been canceled.
    """

    def __init__(
        self,
        memory: ModelMemory,
        *,
        deadline_seconds: float,
        window_seconds: float = WINDOW_SECONDS,
    ) -> None:
        self.deadline_seconds = deadline_seconds
        self.lost = asyncio.Event()
        self.loss: ThreadLost | None = None
        self._memory = memory
        self._scheduler = BatchScheduler(BatchWindow(window_seconds))
        self._calls = BatchCalls(deadline_seconds, memory, self._scheduler.limit)
        self._requests: dict[BatchRequest, ServedModel] = {}
        self._changed = asyncio.Event()  # the scheduler may have another answer

    @property
    def busy(self) -> bool:
        """True while the model thread is at a call or a load."""
        return self._memory.busy

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Form and make batches while the block runs. A fault of the loop cancels the block."""
        task, user = asyncio.create_task(self._run()), asyncio.current_task()

        def ended(_: object) -> None:
            if user is not None and not task.cancelled() and task.exception() is not None:
                user.cancel()  # it would wait for ever

        task.add_done_callback(ended)
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled():
                task.result()

    def request(
        self,
        model: ServedModel,
        items: Sequence[Item],
        heartbeat: Heartbeat,
        *,
        redelivered: bool = False,
        bulk: bool = False,
        show: Callable[[int, Preview], object] = lambda _index, _preview: None,
    ) -> BatchRequest:
        """Return a request for a job's items, to be entered. `show` is called with previews and their items' index.

        If the adapter has no batch key for an item, the request is called at once and its outputs raise that.
        """
        request = BatchRequest(items, heartbeat, redelivered=redelivered, bulk=bulk, show=show, on_exit=self._on_exit)
        self._requests[request] = model
        try:
            self._scheduler.add(request, model)
        except Exception as exc:  # noqa: BLE001 - an adapter's mistake ends this job and no other
            request.fail(exc)
            request.call()
        self._changed.set()
        return request

    def _on_exit(self, request: BatchRequest) -> None:
        self._requests.pop(request, None)
        self._scheduler.remove(request)
        self._changed.set()

    async def _run(self) -> None:
        """Make one batch after another until the thread is lost."""
        self._scheduler.started(self._now())
        try:
            batch = await self._form()
            while True:
                if not batch.model.loaded:  # the call before needed its memory
                    await self._load_model(batch.model)
                batch = await self._make_and_form(batch)
        except ThreadLost as exc:
            self._lose(exc)

    async def _make_and_form(self, batch: Batch) -> Batch:
        """Make a batch, and return the next one, which is formed meanwhile. Raise ThreadLost."""
        ending = asyncio.Event()
        following = asyncio.create_task(self._form(ending))
        self._scheduler.call_began(batch)
        try:
            await self._calls.make(batch.wanted(), ending)
            self._scheduler.call_ended(self._now())
            self._changed.set()
            ending.set()
            return await following
        finally:
            following.cancel()

    async def _form(self, ending: asyncio.Event | None = None) -> Batch:
        """Form the next batch, with every job of it begun; begin with that once the call under way is `ending`.

        Jobs join round after round, as they come, while those before them begin. Raise ThreadLost.
        """
        if ending is not None:
            await ending.wait()
        batch = Batch()
        while True:
            self._changed.clear()
            found = self._scheduler.next(self._now(), batch)
            if isinstance(found, ServedModel):
                await self._load_model(found)
            elif isinstance(found, list):
                await Batch(found).begin()
                batch = Batch([*batch, *found])
                if not batch.wanted():
                    batch = Batch()  # every job of it withdrew; until then they take up room, so that rounds end
            elif batch and found <= self._now():
                return batch
            else:
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(None if math.isinf(found) else found):
                        await self._changed.wait()

    async def _load_model(self, model: ServedModel) -> None:
        """Load a model, or give up its jobs. Raise ThreadLost, also after the deadline of a call."""
        began = self._now()
        try:
            async with asyncio.timeout(self.deadline_seconds):
                await self._memory.load(model)
        except TimeoutError as exc:
            took = f"to load {model.name} took longer than {self.deadline_seconds:g} seconds"
            raise DeadlineExceeded(took) from exc
        except ModelUnavailable as exc:
            model.fail(exc)
            for request, asked in self._requests.items():
                if asked is model and request.state is not RequestState.WAITING:  # made in part, and then unloaded
                    request.fail(HandedBack(str(exc)))
        self._scheduler.load_ended(self._now(), self._now() - began)

    def _lose(self, loss: ThreadLost) -> None:
        """End every job: nothing more is made. Jobs that were not called keep waiting for the worker to leave."""
        for request in [*self._requests]:
            request.fail(HandedBack(str(loss)))
        self.loss = loss
        self.lost.set()

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
