"""The executor of one model: it loads, calls and closes an adapter in the model thread."""

from collections.abc import Sequence
from types import TracebackType
from typing import Self

import structlog

from services.common.errors import ModelUnavailable, OutOfMemory, ThreadLost
from services.inference.runtime.adapter import Context, Item, ModelAdapter
from services.inference.runtime.device_errors import first_line
from services.inference.runtime.fetching.packages import fetch_package
from services.inference.runtime.memory import give_back_memory
from services.inference.runtime.model_thread import ModelThread
from services.inference.runtime.outputs import Output

log = structlog.get_logger(__name__)


class ModelExecutor:
    """Calls `adapter` in `thread`, which it may share with others; without one it has a thread of its own.

    An adapter is loaded once and closed once: a model that was closed gets a new executor.
    """

    def __init__(
        self, adapter: ModelAdapter, *, device: str = "auto", threads: int = 1, thread: ModelThread | None = None
    ) -> None:
        self.adapter = adapter
        self.closed = False
        self._device = device
        self._cpu_threads = threads
        self._thread = thread or ModelThread()
        self._owns_thread = thread is None

    @property
    def busy(self) -> bool:
        """True if the thread is at a call, also at one whose caller was cancelled."""
        return self._thread.busy

    async def load(self) -> None:
        """Load the adapter. Raise ModelUnavailable saying what to do, or DeviceFailed."""
        try:
            await self._thread.call(self._load, self.adapter.free_cache)
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

        return await self._thread.call(generate, self.adapter.free_cache)

    async def close(self) -> None:
        """Close the adapter and give its memory back, after the calls under way. May be called again.

        A thread of its own ends as well.
        """
        if self.closed:
            return
        self.closed = True
        try:
            await self._thread.call(self._close)
        finally:
            if self._owns_thread:
                self._thread.close()

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

    def _close(self) -> None:
        self.adapter.close()
        give_back_memory()
