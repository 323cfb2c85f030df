"""The model thread: the one thread in which adapters are loaded, called and closed.

Pipelines and their schedulers are not thread-safe, a CUDA context belongs to a thread, and the event loop must not
wait for any of them.
"""

import asyncio
import contextvars
import gc
import inspect
import traceback
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

from services.common.errors import DeviceFailed, OutOfMemory
from services.inference.runtime.device_errors import first_line, is_device_failure, is_out_of_memory

T = TypeVar("T")


class ModelThread:
    """Makes one call after another, in the caller's context variables (so the jobs' ids are in its logs).

    Cancelling a call frees the caller, not the thread: the call goes on, `busy` stays true, and the next call waits
    behind it. A thread cannot be stopped; the way out is to end the process with os._exit, because the interpreter
    waits for the thread at a normal exit.
    """

    def __init__(self) -> None:
        self._calls: set[Future[Any]] = set()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")

    @property
    def busy(self) -> bool:
        """True if the thread is at a call, also at one whose caller was cancelled."""
        return bool(self._calls)

    async def call(self, function: Callable[[], T], free_cache: Callable[[], object] = lambda: None) -> T:
        """Return what `function` returns in the thread.

        Raise OutOfMemory, after `free_cache`, DeviceFailed (no call succeeds any more), or what `function` raises.
        """
        context = contextvars.copy_context()
        call = self._thread.submit(context.run, _guarded, function, free_cache)
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)
        return await asyncio.wrap_future(call)

    def close(self) -> None:
        """End the thread after the calls under way."""
        self._thread.shutdown(wait=False, cancel_futures=True)


def _guarded(function: Callable[[], T], free_cache: Callable[[], object]) -> T:
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
    free_cache()
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
