"""`studio worker`: load models as they are needed, consume their queues, drain on SIGTERM."""

import asyncio
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import structlog

from services.cli.serve.process import freeze_heap, stop_event
from services.cli.serve.supervisor import UNUSABLE
from services.common.catalogue.catalogue import Catalogue, Model
from services.common.errors import BackendRefused, BackendUnavailable, ModelUnavailable, ThreadLost
from services.common.settings import Settings
from services.inference.runtime.model_thread import ModelThread
from services.inference.worker.worker import Worker
from services.inference.worker.worker_runtime import StoppedWhileLoading, open_worker_runtimes

log = structlog.get_logger(__name__)

UNAVAILABLE = 69  # EX_UNAVAILABLE: a backend did not answer at the start; it may the next time
HUNG = 70  # EX_SOFTWARE: the model thread can do no more; another process must take over


async def run_worker(settings: Settings, catalogue: Catalogue, models: Sequence[Model], *, attended: bool) -> int:
    """Return the exit code: 0 drained, 69 a backend is unavailable, 70 a job or the device hung, 78 no model can be
    served, or a backend refuses this worker until an operator mends it.

    `attended` also stops when standard input closes: the supervisor holds the other end.
    """
    if len(models) == 1:
        structlog.contextvars.bind_contextvars(model=models[0].name)
    hurry = asyncio.Event()
    stop = stop_event(hurry)
    if attended:
        _stop_at_end_of_input(stop)
    thread = ModelThread()
    code = await _work(settings, catalogue, models, thread, stop, hurry)
    if thread.busy or code == HUNG:
        _leave(code)  # the jobs it held are handed back, or their end is stored
    return code


async def _work(
    settings: Settings,
    catalogue: Catalogue,
    models: Sequence[Model],
    thread: ModelThread,
    stop: asyncio.Event,
    hurry: asyncio.Event,
) -> int:
    """Load a model and work until `stop` is set. Return the exit code."""
    lost = "leaving, the model thread cannot be used"
    try:
        async with open_worker_runtimes(settings, catalogue, models, thread, stop) as runtimes:
            freeze_heap()
            lost += " any more"
            await Worker(runtimes).run(stop, hurry)
    except BackendRefused as exc:
        log.error("backend refuses this worker", reason=str(exc), cure=exc.cure)  # noqa: TRY400 - the cure says what to do
        return UNUSABLE
    except BackendUnavailable as exc:
        log.error("backend unavailable", reason=exc.advice)  # noqa: TRY400 - the sentence says what to do
        return UNAVAILABLE
    except ModelUnavailable as exc:
        log.error("model unavailable", reason=str(exc))  # noqa: TRY400 - the sentence says what to do
        return UNUSABLE
    except StoppedWhileLoading:
        _leave(0)  # nothing has begun, and loading goes on in the thread
    except ThreadLost as exc:
        log.error(lost, reason=str(exc))  # noqa: TRY400
        return HUNG
    log.info("drained")
    return 0


def _leave(code: int) -> NoReturn:
    """Leave at once: the model thread cannot be joined, and the interpreter would wait for it at exit."""
    sys.stderr.flush()
    os._exit(code)


def _stop_at_end_of_input(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()

    def ended() -> None:
        loop.remove_reader(sys.stdin.fileno())
        stop.set()

    loop.add_reader(sys.stdin.fileno(), ended)
