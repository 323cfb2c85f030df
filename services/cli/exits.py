"""How a command of `studio` ends: its work run on uvloop, and what went wrong as a sentence and an exit code."""

from collections.abc import Coroutine
from typing import Any, NoReturn, TypeVar

import typer
import uvloop
from rich.console import Console

errors = Console(stderr=True)

T = TypeVar("T")
FAILED, USAGE, UNREACHABLE = 1, 2, 3


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run on uvloop, and turn what went wrong into a sentence and an exit code."""
    from services.cli.gateway_access import Refused, Unreachable
    from services.cli.supervisor import WorkerUnusable
    from services.common.errors import BackendUnavailable

    try:
        return uvloop.run(work)
    except Refused as exc:
        leave(UNREACHABLE if exc.unavailable else USAGE, str(exc))
    except (Unreachable, BackendUnavailable, WorkerUnusable) as exc:
        leave(UNREACHABLE, str(exc))
    except (ValueError, OSError) as exc:
        leave(USAGE, str(exc))


def leave(code: int, message: str) -> NoReturn:
    # Not broken into lines: a log or a script gets the sentence whole, and a terminal breaks it by itself.
    errors.print(message, style="red", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(code)
