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

import structlog

from services.common.errors import DeviceFailed, ModelUnavailable, OutOfMemory, ThreadLost
from services.inference.runtime.adapter import Context, Item, ModelAdapter
from services.inference.runtime.device_errors import first_line, is_device_failure, is_out_of_memory
from services.inference.runtime.fetching.packages import fetch_package
from services.inference.runtime.outputs import Output

T = TypeVar("T")
log = structlog.get_logger(__name__)


class ModelExecutor:
    """Calls `adapter` in its own thread, in the caller's context variables (so the jobs' ids are in its logs).

    Cancelling a call frees the caller, not the thread: the call goes on, `busy` stays true, and the next call waits
    behind it. A thread cannot be stopped; the way out is to end the process with os._exit, because `close` waits for
    the thread, and so does the interpreter at a normal exit.
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
        """True if the thread is at a call, also at one whose caller was cancelled."""
        return bool(self._calls)

    async def load(self) -> None:
        """Load the adapter. Raise ModelUnavailable saying what to do, or DeviceFailed."""
        try:
            await self._call(self._load)
        except (ModelUnavailable, ThreadLost):
            raise
        except OutOfMemory as exc:
            reason = str(exc).partition(": ")[2]
            raise ModelUnavailable(
                f"the model does not fit on device {self._device!r}: {reason or 'out of memory'}; "
                f"free some of its memory, or take a smaller model or another device"
            ) from exc
        except Exception as exc:
            log.debug("loading failed", exc_info=True)
            model = self.adapter.model
            absent = isinstance(exc, ImportError) and exc.name
            cure = f"the library {absent} where the worker runs" if absent else "the model or the adapter again"
            raise ModelUnavailable(
                f"{model.name} cannot be loaded: the adapter {model.adapter} raised {type(exc).__name__}: "
                f"{first_line(exc)}; install {cure} (STUDIO_LOG_LEVEL=debug shows where)"
            ) from exc

    async def generate(self, batch: Sequence[Item], context: Context) -> Sequence[Output]:
        """Return one output per item.

        Raise Cancelled, OutOfMemory, DeviceFailed (no call succeeds any more), or any other exception of the adapter.
        """

        def generate() -> Sequence[Output]:
            outputs = self.adapter.generate(batch, context)
            if len(outputs) != len(batch):  # or a job would get another job's output
                raise RuntimeError(f"the adapter made {len(outputs)} outputs of {len(batch)} items")
            return outputs

        return await self._call(generate)

    async def close(self) -> None:
        """Close the adapter and end the thread, after the calls under way. May be called again."""
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
        fetch_package(self.adapter.model)
        # In the thread itself: OpenMP keeps the number of threads per calling thread.
        self.adapter.prepare_thread(self._cpu_threads)
        self.adapter.load(self._device)

    async def _call(self, function: Callable[[], T]) -> T:
        context = contextvars.copy_context()
        call = self._thread.submit(context.run, self._guarded, function)
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)
        return await asyncio.wrap_future(call)

    def _guarded(self, function: Callable[[], T]) -> T:
        """Call `function`, and clear the frames of an exception, which hold tensors as local variables.

        These stay allocated for as long as the exception is kept, and emptying a cache does not free them:
        https://github.com/pytorch/pytorch/issues/27600
        """
        try:
            return function()
        except (StopIteration, CancelledError, asyncio.CancelledError, TimeoutError) as exc:
            # A future refuses the first, so its caller would wait forever; the others have a meaning there.
            raise RuntimeError(f"the adapter raised {type(exc).__name__}") from exc
        except Exception as exc:
            if not is_out_of_memory(exc):
                _clear_frames(exc)
                if is_device_failure(exc):
                    raise DeviceFailed(f"the device failed: {first_line(exc)}") from exc
                raise
            reason = first_line(exc)
        except BaseException as exc:
            # SystemExit, and the panics of libraries written in Rust, would end the event loop.
            _clear_frames(exc)
            raise RuntimeError(f"the adapter raised {type(exc).__name__}: {first_line(exc)}") from exc
        # The exception and its frames exist only inside of the handler, so the cache is freed here.
        gc.collect()
        self.adapter.free_cache()
        advice = "ask for fewer or smaller images"
        raise OutOfMemory(f"not enough memory on the device for these parameters, {advice}: {reason}")


def _clear_frames(exc: BaseException) -> None:
    """Clear the local variables of all frames in the chain of causes. Lines and names stay, for the log."""
    seen: set[int] = set()
    link: BaseException | None = exc
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        for frame, _ in traceback.walk_tb(link.__traceback__):
            # An exception that was raised before has been through the event loop: clearing a coroutine would end it.
            if not frame.f_code.co_flags & inspect.CO_COROUTINE:
                with suppress(RuntimeError):  # it is still being executed
                    frame.clear()
        link = link.__cause__ or link.__context__
