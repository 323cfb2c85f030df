"""Runs the work of a `studio` command on uvloop; an error becomes a sentence and an exit code."""

import asyncio
import sys
from collections.abc import Coroutine
from typing import Any, Final, NoReturn, TypeVar

import typer
import uvloop
from rich.console import Console

errors = Console(stderr=True)

T = TypeVar("T")
FAILED, USAGE, UNREACHABLE = 1, 2, 3
_SETTINGS: Final = {
    name: f"; check that it runs, and STUDIO_{name.upper()}_URL" for name in ("broker", "statuses", "objects")
}
ROUNDS: Final = 5  # a task that is cancelled may have a callback that starts another task, and so on
ROUND_SECONDS: Final = 1.0


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run on uvloop. An error ends the command with a sentence and an exit code."""
    from services.cli.gateway_answers import Refused, Unreachable
    from services.cli.photo_files import NotWritten
    from services.cli.serve.supervisor import WorkerUnusable
    from services.common.errors import BackendUnavailable
    from services.common.setting_sources import located

    try:
        return uvloop.run(_to_its_end(work))
    except Refused as exc:
        leave(UNREACHABLE if exc.unavailable else USAGE, str(exc))
    except BackendUnavailable as exc:
        leave(UNREACHABLE, exc.advice if exc.cure else f"{exc}{_SETTINGS.get(exc.backend, '')}")
    except (Unreachable, WorkerUnusable) as exc:
        leave(UNREACHABLE, str(exc))
    except NotWritten as exc:
        leave(FAILED, str(exc))
    except OSError as exc:
        leave(USAGE, f"{exc.filename}: {exc.strerror}" if exc.filename and exc.strerror else located(str(exc)))
    except UnicodeEncodeError as exc:
        leave(USAGE, _not_text(exc))
    except ValueError as exc:
        leave(USAGE, located(str(exc)))


async def _to_its_end(work: Coroutine[Any, Any, T]) -> T:
    """Return what `work` returns, with no task left that a library started.

    aio-pika starts tasks while its connections close. One that outlives the event loop fails as it is destroyed
    ("Event loop is closed"), and Python prints that past the log.
    """
    try:
        return await work
    finally:
        for _ in range(ROUNDS):
            await asyncio.sleep(0)
            if others := asyncio.all_tasks() - {asyncio.current_task()}:
                for task in others:
                    task.cancel()
                await asyncio.wait(others, timeout=ROUND_SECONDS)


def _not_text(exc: UnicodeEncodeError) -> str:
    """Python keeps bytes of the command line that are not text in this locale as lone surrogates."""
    around = exc.object[max(0, exc.start - 20) : exc.end]
    return (
        f"the text has bytes that are not {sys.getfilesystemencoding().upper()}, at the end of {around!a}: "
        f"type it in a terminal whose encoding is UTF-8, or set LC_ALL=C.UTF-8"
    )


def leave(code: int, message: str) -> NoReturn:
    # Not broken into lines: a log or a script gets the sentence whole, and a terminal breaks it by itself.
    errors.print(message, style="red", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(code)
