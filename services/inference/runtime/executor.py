"""The model thread: the one thread in which an adapter is loaded, called and closed.

Pipelines and their schedulers are not thread-safe, a CUDA context belongs to a thread, and the event loop must not
wait for any of them.
"""

import asyncio
import contextvars
import gc
import inspect
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import suppress
from types import TracebackType
from typing import Any, Self, TypeVar

from services.common.errors import DeviceFailed, ModelUnavailable, OutOfMemory
from services.inference.runtime.adapter import Context, Item, ModelAdapter
from services.inference.runtime.device_errors import first_line, is_device_failure, is_out_of_memory
from services.inference.runtime.outputs import Output

T = TypeVar("T")


class ModelExecutor:
    """Calls `adapter` in its own thread, in the caller's context variables (so the jobs' ids are in its logs).

    Cancelling a call frees the caller, not the thread: the call goes on, `busy` stays true, and what is called
    next waits behind it. A thread cannot be stopped; the way out is leaving the process with os._exit, because `close`
    waits for the thread, and so does the interpreter at a normal exit.
    """

    def __init__(self, adapter: ModelAdapter, *, device: str = "auto", threads: int = 1) -> None:
        self.adapter = adapter
        self._device = device
        self._cpu_threads = threads
        self._calls: set[Future[Any]] = set()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._closed = False

    @property
    def busy(self) -> bool:
        """Whether the thread is at a call, be it one whose caller has gone away."""
        return bool(self._calls)

    async def load(self) -> None:
        """Raises ModelUnavailable saying what to do, DeviceFailed, or whatever else the adapter raises."""
        try:
            await self._call(self._load)
        except OutOfMemory as exc:
            reason = str(exc).partition(": ")[2]
            raise ModelUnavailable(
                f"the model does not fit on device {self._device!r}: {reason or 'out of memory'}; "
                f"free some of its memory, or take a smaller model or another device"
            ) from exc

    async def generate(self, batch: Sequence[Item], context: Context) -> Sequence[Output]:
        """One output per item.

        Raises Cancelled, OutOfMemory, DeviceFailed (no call succeeds any more), or whatever else the adapter raises.
        """

        def generate() -> Sequence[Output]:
            outputs = self.adapter.generate(batch, context)
            if len(outputs) != len(batch):  # nobody may get what is another's
                raise RuntimeError(f"the adapter made {len(outputs)} outputs of {len(batch)} items")
            return outputs

        return await self._call(generate)

    async def close(self) -> None:
        """Close the adapter and end the thread, after the calls under way. Repeatable."""
        if self._closed:
            return
        self._closed = True
        try:
            await self._call(self.adapter.close)
        finally:
            self._thread.shutdown(wait=False, cancel_futures=True)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _load(self) -> None:
        # In the thread itself: OpenMP counts threads per calling thread, so a number set elsewhere is not seen here.
        self.adapter.prepare_thread(self._cpu_threads)
        self.adapter.load(self._device)

    async def _call(self, function: Callable[[], T]) -> T:
        context = contextvars.copy_context()
        call = self._thread.submit(context.run, self._guarded, function)
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)
        return await asyncio.wrap_future(call)

    def _guarded(self, function: Callable[[], T]) -> T:
        """Let no exception carry tensors out: the frames of its traceback hold them as local variables.

        What they hold stays allocated for as long as somebody keeps the exception, and no cache is emptied of it:
        https://github.com/pytorch/pytorch/issues/27600
        """
        try:
            return function()
        except (StopIteration, CancelledError, asyncio.CancelledError, TimeoutError) as exc:
            # A future refuses the first and would leave the caller waiting for ever; the others mean something to it.
            raise RuntimeError(f"the adapter raised {type(exc).__name__}") from exc
        except Exception as exc:
            if not is_out_of_memory(exc):
                _clear_frames(exc)
                if is_device_failure(exc):
                    raise DeviceFailed(f"the device failed: {first_line(exc)}") from exc
                raise
            reason = first_line(exc)
        # Only out here are the exception and its frames gone.
        gc.collect()
        self.adapter.free_cache()
        raise OutOfMemory(f"not enough memory on the device for these parameters: {reason}")


def _clear_frames(exc: BaseException) -> None:
    """Lines and names stay for the log; local variables go, along the whole chain of causes."""
    seen: set[int] = set()
    link: BaseException | None = exc
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        for frame, _ in traceback.walk_tb(link.__traceback__):
            # One that was raised before has been through the event loop: to clear a coroutine is to end it.
            if not frame.f_code.co_flags & inspect.CO_COROUTINE:
                with suppress(RuntimeError):  # it is still being executed
                    frame.clear()
        link = link.__cause__ or link.__context__
