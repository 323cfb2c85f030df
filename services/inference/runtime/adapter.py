"""The model adapter: the one class to write to serve another model.

An adapter is synchronous and lives in the model thread: it is loaded, called and closed there, so it needs no locks
and may keep state between calls. Only `batch_key` and `sample` are called elsewhere. It neither encodes nor stores
what it makes.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Protocol

from services.common.catalogue import Model
from services.common.params import Modality, Params
from services.inference.runtime.outputs import Output, Preview
from services.inference.runtime.sources import Source


@dataclass(frozen=True)
class Item:
    """One thing to make: the picture `index` of a job, with its own seed and the prompt its style made of it."""

    job_id: str
    index: int
    seed: int
    prompt: str
    negative_prompt: str
    params: Params


class Report(Protocol):
    def __call__(self, step: int, total: int, preview: Callable[[], Sequence[Preview]] | None = None, /) -> None: ...


@dataclass(frozen=True)
class Context:
    """How a running call talks to the worker. All may be called as often as one likes: they only touch memory.

    `progress(step, total, preview)` says that `step` of `total` steps of this call are done. `preview`, where there is
    one, makes a small picture an item, in order, of what there is so far. It is called at once and in this thread, now
    and then: so it costs nothing when nobody looks. `cancelled(job_id)` says whether the job should stop; an adapter
    asks after every step and raises Cancelled when every item of its batch is. `stage(name)` says what the call is at
    from now on, for the figures and traces of whoever runs it: one of a few fixed words, since each is counted apart.
    """

    progress: Report
    cancelled: Callable[[str], bool]
    stage: Callable[[str], object] = lambda _name: None


QUIET: Final = Context(progress=lambda *_: None, cancelled=lambda _job_id: False)  # of a call nobody watches


class Cancelled(Exception):
    """Raised by an adapter that stopped because everything it was making is no longer wanted."""


class ModelAdapter(ABC):
    """What every adapter is. The worker makes one, loads it, calls it for batch after batch, and closes it."""

    modality: ClassVar[Modality]
    max_batch: int = 1  # how many items one call takes; the catalogue's `max_batch` goes before

    def __init__(self, model: Model, source: Source) -> None:
        self.model = model
        self.source = source
        self.max_batch = model.max_batch or self.max_batch

    def prepare_thread(self, threads: int) -> None:
        """Give a library its `threads` CPU threads. Called in the model thread, before `load`."""

    @abstractmethod
    def load(self, device: str) -> None:
        """Load the weights of `source`; raise ModelUnavailable saying what to do when they cannot be had."""

    def batch_key(self, item: Item) -> Hashable:
        """Items with equal keys may share one call; by default only those of one job.

        Called on the event loop, perhaps while `generate` runs: it must be quick, and touch nothing that changes.
        """
        return item.job_id

    @abstractmethod
    def generate(self, batch: Sequence[Item], context: Context) -> Sequence[Output]:
        """One output per item, in order. The same seed gives the same bytes when alone in its batch.

        Raises Cancelled, OutOfMemory or any other exception (which fails a job with `generation-failed`).
        """

    def sample(self) -> Item | None:
        """Something usual, which the worker makes before it says that it is ready; None leaves that out.

        Called on the event loop, once, between `load` and the first `generate`.
        """
        return None

    def free_cache(self) -> None:
        """Give back device memory that is cached and not in use; called after a call ran out of memory."""

    @abstractmethod
    def close(self) -> None:
        """Give the memory back. Called once, also after a failed load."""
