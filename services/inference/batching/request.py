"""A job's handle in the batcher: it is called at its turn, begins the job, and gets the outputs."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from enum import Enum, auto
from types import TracebackType
from typing import Self

from services.common.schemas import JobWarning, Progress
from services.inference.job.heartbeat import Heartbeat
from services.inference.runtime.adapter import Cancelled, Item
from services.inference.runtime.outputs import Output, Preview
from services.inference.runtime.stages import Stages


class RequestState(Enum):
    """The states of a `BatchRequest`, drawn in its docstring."""

    WAITING = auto()
    CALLED = auto()
    BEGUN = auto()
    DONE = auto()


class BatchRequest:
    """The items of one job in the batcher, made by `Batcher.request` and entered by the job.

        WAITING ── call() ──▶ CALLED ── outputs() ──▶ BEGUN ── deliver() of the last item ──▶ DONE
           │                    │                       │                                      ▲
           └────────────────────┴───────────────────────┴──── fail(), or the job withdraws ────┘

    WAITING  The items wait in the scheduler. The job is not begun, so it is charged no attempt.
    CALLED   A batch takes items of the job. `async with` returns, and the job begins in the status store. Then it
             either awaits `outputs` or withdraws; the batch waits for one of the two.
    BEGUN    The items are made, in one call of the model or several.
    DONE     The outputs or an exception are there, or the job wants none. The worker holds the job until its context
             ends: the outputs are being stored.
    """

    def __init__(
        self,
        items: Sequence[Item],
        heartbeat: Heartbeat,
        *,
        redelivered: bool,
        bulk: bool,
        show: Callable[[int, Preview], object],
        on_exit: Callable[["BatchRequest"], object],
    ) -> None:
        self.items = items
        self.redelivered = redelivered
        self.bulk = bulk
        self.state = RequestState.WAITING
        self.calls: list[Stages] = []  # of the model, that made outputs of this job
        self.warnings: list[JobWarning] = []  # of the calls
        self._heartbeat = heartbeat
        self._show = show
        self._on_exit = on_exit
        self._called = asyncio.Event()
        self._settled = asyncio.Event()
        self._done = asyncio.Event()
        self._outputs: dict[int, Output] = {}
        self._exception: Exception | None = None
        self._step = 0
        heartbeat.when_unwanted(lambda: self.fail(Cancelled()))  # a canceled job ends before its call does

    @property
    def wanted(self) -> bool:
        """True if the job still wants outputs. Reads plain attributes, so the model thread may ask at every step."""
        return self.state is not RequestState.DONE and self._heartbeat.wanted

    async def __aenter__(self) -> Self:
        try:
            await self._called.wait()
        except asyncio.CancelledError:
            self._exit()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exit()

    async def outputs(self) -> list[Output]:
        """Return one output per item.

        Raise Cancelled once the heartbeat reports it, ThreadLost, or the exception of the adapter.
        """
        if self.state is RequestState.CALLED:
            self.state = RequestState.BEGUN
        self._settled.set()
        await self._done.wait()
        if self._exception is not None:
            raise self._exception
        return [self._outputs[index] for index in range(len(self.items))]

    def give(self, inputs: Mapping[str, bytes]) -> None:
        """Give all items the files that the job is made from; a batch looks at its items once they have begun."""
        self.items = [replace(item, inputs=inputs) for item in self.items]

    def withdraw(self) -> None:
        """Leave the batch: the job wants no outputs."""
        self.fail(Cancelled())

    def call(self) -> None:
        """Let the job begin."""
        if self.state is RequestState.WAITING:
            self.state = RequestState.CALLED
        self._called.set()

    async def settled(self) -> None:
        """Return when the called job has begun and waits for its outputs, or is done."""
        await self._settled.wait()

    def report(self, step: int, total: int, count: int) -> None:
        """Report `step` of `total` of a call for `count` of the items. The job's progress never decreases."""
        self._step = max(self._step, len(self._outputs) * total + step * count)
        self._heartbeat.report(Progress(step=self._step, total=len(self.items) * total))

    def show(self, index: int, preview: Preview) -> None:
        """Show a preview of the item `index`, if the job is still wanted."""
        if self.wanted:
            self._show(index, preview)

    def warn(self, warning: JobWarning) -> None:
        """Note a warning. One that was noted before, of another item or of a call that failed, is the same."""
        if warning not in self.warnings:
            self.warnings.append(warning)

    def deliver(self, index: int, output: Output, call: Stages) -> None:
        """Hand over the output of the item `index`, made by `call`."""
        self._outputs[index] = output
        if call not in self.calls:
            self.calls.append(call)
        if len(self._outputs) == len(self.items):
            self._finish()

    def fail(self, exc: Exception) -> None:
        """End with `exc` in place of outputs; a request that is done already stays as it is."""
        if self.state is not RequestState.DONE:
            self._exception = exc
            self._finish()

    def _finish(self) -> None:
        self.state = RequestState.DONE
        self._settled.set()
        self._done.set()

    def _exit(self) -> None:
        self.withdraw()
        self._on_exit(self)
