"""The model adapter: the one class to write to serve another model.

An adapter is synchronous and lives in the model thread: it is loaded, called and closed there, so it needs no locks
and may keep state between calls. Only `batch_key` and `sample` are called elsewhere. Its outputs are encoded and stored
outside of it.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Final, Protocol

from pydantic import BaseModel

from services.common.catalogue.catalogue import Model
from services.common.modalities.modality import Cost
from services.common.modalities.params import Params
from services.common.provenance.mark import SourceType
from services.inference.runtime.fetching.hub import fetch_from_hub
from services.inference.runtime.outputs import Output, Preview
from services.inference.runtime.sources import Source


@dataclass(frozen=True)
class Item:
    """A request for one output: the item `index` of a job, with its own seed and the texts that the model reads.

    `inputs` has the content of the file that each such parameter names.
    """

    job_id: str
    index: int
    seed: int
    prompt: str
    negative_prompt: str
    params: Params
    cost: Cost = field(default_factory=lambda: Cost(""))
    inputs: Mapping[str, bytes] = field(default_factory=dict)


class Report(Protocol):
    def __call__(self, step: int, total: int, preview: Callable[[], Sequence[Preview]] | None = None, /) -> None: ...


@dataclass(frozen=True)
class Context:
    """The functions by which a running call reports to the worker. They only touch memory, so they may be called often.

    `progress(step, total, preview)` reports that `step` of `total` steps of this call are done. `preview`, where there
    is one, returns a Preview for each item, in order. It is called at once, in this thread and from time to time only.
    `cancelled(job_id)` returns True if the job should stop; an adapter asks after every step and raises Cancelled when
    every item of its batch is canceled. `stage(name)` names the stage of the call from now on, for metrics and traces:
    one of a few fixed words, since each is counted apart. `warn(job_id, code, message)` tells the client of that job of
    a part of its request that is not done, once however often it is said; codes are in `common/job_warnings.py`.
    """

    progress: Report
    cancelled: Callable[[str], bool]
    stage: Callable[[str], object] = lambda _name: None
    warn: Callable[[str, str, str], object] = lambda _job_id, _code, _message: None


QUIET: Final = Context(progress=lambda *_: None, cancelled=lambda _job_id: False)  # for a call outside of a worker


class Cancelled(Exception):
    """Raised by an adapter that stopped because all items of its call are canceled."""


class ModelAdapter(ABC):
    """The base of all adapters. The worker makes one, loads it, calls it for batch after batch, and closes it.

    A model that was closed for another and is needed again gets a new adapter.
    """

    modality: ClassVar[str]
    source_type: ClassVar[str] = SourceType.TRAINED  # what its outputs are; every file says so
    options: ClassVar[type[BaseModel] | None] = None  # what a catalogue entry may give it; None: anything
    hub_files: ClassVar[Sequence[str]] = ("*",)  # patterns of those that `load` reads of a model on the hub
    max_batch: int = 1  # how many items one call takes; the catalogue's `max_batch` goes before

    def __init__(self, model: Model, source: Source) -> None:
        self.model = model
        self.source = source
        self.max_batch = model.max_batch or self.max_batch

    def fetch(self) -> Path:
        """Return the folder or file of the weights, fetched from the hub as far as it is not on this machine.

        `load` may call it; `studio models pull` does. Weights in a package are there before either. Raise
        ModelUnavailable with a sentence that says what to do.
        """
        if self.source.revision is None:
            return Path(self.source.location)
        return fetch_from_hub(self.source, self.hub_files)

    def prepare_thread(self, threads: int) -> None:
        """Give a library its `threads` CPU threads. Called in the model thread, before `load`."""

    @abstractmethod
    def load(self, device: str) -> None:
        """Load the weights of `source`, or raise ModelUnavailable with a sentence that says what to do."""

    def batch_key(self, item: Item) -> Hashable:
        """Return a key; items with equal keys may share one call. By default only those of one job do.

        Called on the event loop, perhaps while `generate` runs, and also before `load`: it must be quick, and touch no
        state that changes.
        """
        return item.job_id

    @abstractmethod
    def generate(self, batch: Sequence[Item], context: Context) -> Sequence[Output]:
        """Return one output per item, in order. The same seed gives the same bytes when alone in its batch.

        Return a FilteredOutput for one that the model's safety checker withholds. Raise Cancelled, OutOfMemory or any
        other exception (which fails a job with `generation-failed`).
        """

    def sample(self) -> Item | None:
        """Return a usual item, which the worker generates before it is ready, or None to leave that out.

        Called on the event loop, once, between `load` and the first `generate`.
        """
        return None

    def free_cache(self) -> None:
        """Give back device memory that is cached and not in use. Called after a call ran out of memory."""

    @abstractmethod
    def close(self) -> None:
        """Give the memory back, for another model perhaps. Called once, also after a failed load."""
