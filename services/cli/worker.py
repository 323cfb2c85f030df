"""`studio worker`: load one model, consume its queue, drain on SIGTERM."""

import asyncio
import os
import sys
from typing import NoReturn

import structlog

from services.cli.process import freeze_heap, stop_event
from services.cli.supervisor import UNUSABLE
from services.common.catalogue import Catalogue, Model
from services.common.errors import BackendUnavailable, ModelUnavailable, ThreadLost
from services.common.settings import Settings
from services.inference.worker.worker import Worker
from services.inference.worker.worker_runtime import StoppedWhileLoading, open_worker_runtime

log = structlog.get_logger(__name__)

UNAVAILABLE = 69  # EX_UNAVAILABLE: a backend did not answer at the start
HUNG = 70  # EX_SOFTWARE: the model thread can do no more; another process must take over


async def run_worker(settings: Settings, catalogue: Catalogue, model: Model, *, attended: bool) -> int:
    """Return the exit code: 0 drained, 69 a backend is unavailable, 70 a job or the device hung, 78 no model.

    `attended` also stops when standard input closes: the supervisor holds the other end.
    """
    structlog.contextvars.bind_contextvars(model=model.name)
    hurry = asyncio.Event()
    stop = stop_event(hurry)
    if attended:
        _stop_at_end_of_input(stop)
    try:
        async with open_worker_runtime(settings, catalogue, model, stop) as runtime:
            freeze_heap()
            await Worker(runtime).run(stop, hurry)
    except BackendUnavailable as exc:
        log.error("backend unavailable", reason=str(exc))  # noqa: TRY400 - the sentence says what to do
        return UNAVAILABLE
    except ModelUnavailable as exc:
        log.error("model unavailable", reason=str(exc))  # noqa: TRY400 - the sentence says what to do
        return UNUSABLE
    except StoppedWhileLoading:
        _leave(0)  # nothing has begun
    except ThreadLost as exc:
        log.error("leaving, the model thread cannot be used any more", reason=str(exc))  # noqa: TRY400
        _leave(HUNG)
    log.info("drained")
    if runtime.executor.busy:
        _leave(0)  # what it had begun is handed back
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
