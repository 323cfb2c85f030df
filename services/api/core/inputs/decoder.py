"""Has what a client sent opened by a process of its own, which is bounded in memory, time and files."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import structlog

from services.api.core.inputs.decoding.order import ANSWER, STORED, Order, Reason
from services.common.errors import InvalidRequest, StudioError
from services.common.input_errors import InputTooLarge, InputUnreadable, InputUnsupported
from services.common.settings import Settings

log = structlog.get_logger(__name__)

WORK_SECONDS: Final = 20
# Nothing else of the environment: keys and passwords are in it.
_KEPT: Final = ("PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "LANG", "LC_ALL")
_ERRORS: Final[Mapping[Reason, type[StudioError]]] = {
    "unreadable": InputUnreadable,
    "unsupported": InputUnsupported,
    "too-large": InputTooLarge,
}


@dataclass(frozen=True)
class Bounds:
    """The limits: the bytes of a file, the pixels of a picture, the seconds of a sound."""

    max_bytes: int
    max_pixels: int
    max_seconds: float

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(settings.max_input_bytes, settings.max_input_pixels, settings.max_input_seconds)


def command(order: str) -> list[str]:
    """Return the command line of the process for this order."""
    return [sys.executable, "-P", "-m", "services.api.core.inputs.decoding", order]


async def decode(body: Path, content_type: str, bounds: Bounds, threads: Executor) -> dict[str, Any]:
    """Return the facts of the file in the body: those of `Facts`, with `bytes`, `sha256` and `media_type`.

    `body` is alone in its folder, to which the result goes as well. One of the `threads` waits for the process: to have
    the event loop start it would stop the loop for 10 ms (`just bench intake`).
    Raises InputUnreadable, InputUnsupported, InputTooLarge, and InvalidRequest for a broken form.
    """
    order = Order(
        str(body), content_type, bounds.max_bytes, bounds.max_pixels, bounds.max_seconds, work_seconds=WORK_SECONDS
    )
    try:
        status = await asyncio.get_running_loop().run_in_executor(threads, _run, order)
    except subprocess.TimeoutExpired as exc:
        raise InputTooLarge(f"decoding the file takes more than {order.work_seconds} s: send a smaller one") from exc
    try:
        answer: dict[str, Any] = json.loads(await asyncio.to_thread(body.with_name(ANSWER).read_bytes))
    except (OSError, ValueError) as exc:
        log.warning("decoding process ended without an answer", status=status)
        # Ended by the limit of processor time, for want of memory, or by a fault of a decoder's.
        raise InputUnreadable("the file cannot be decoded: its decoder broke down, or ran out of memory") from exc
    if "refused" in answer:
        raise _refusal(answer["refused"], answer["detail"])
    # The process may have been taken over: a name leads nowhere else, and a type is one of those that we serve.
    name, media_type = Path(answer["file"]).name, STORED.get(answer["extension"])
    if media_type is None:
        raise InputUnreadable("the file cannot be decoded")
    return {**answer, "file": name, "media_type": media_type}


def _run(order: Order) -> int:
    """Run the process to its end, and return its exit status. Raises TimeoutExpired, with the process ended."""
    done = subprocess.run(  # noqa: S603 - no shell, and nothing of the client's but a text of JSON
        command(order.encode()),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={name: os.environ[name] for name in _KEPT if name in os.environ} | {"MALLOC_ARENA_MAX": "1"},
        timeout=order.work_seconds,
        check=False,
    )
    return done.returncode


def _refusal(reason: Reason, detail: str) -> StudioError:
    if reason == "bad-form":
        return InvalidRequest([{"pointer": "", "detail": detail}])
    return _ERRORS[reason](detail)
