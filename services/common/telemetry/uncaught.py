"""Send to the log what Python would otherwise print past it: uncaught exceptions and warnings.

asyncio needs no hook: its exception handler logs already, under the name `asyncio`.
"""

import logging
import sys
import threading
from types import TracebackType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

_log: Final = logging.getLogger(__name__)


def log_uncaught() -> None:
    """Install the hooks of this process. Call it once the log is configured, and after typer installed its own hook."""
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_thread
    sys.unraisablehook = _ignored
    logging.captureWarnings(capture=True)


def _uncaught(kind: type[BaseException], exc: BaseException, trace: TracebackType | None) -> None:
    _log.critical("uncaught exception", exc_info=(kind, exc, trace))


def _uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_type is SystemExit:
        return  # it ends the thread alone
    exc = args.exc_value or args.exc_type()
    name = args.thread.name if args.thread else "unknown"
    _log.critical("uncaught exception in thread %s", name, exc_info=(args.exc_type, exc, args.exc_traceback))


def _ignored(args: "UnraisableHookArgs") -> None:
    """Log what a destructor or a callback of C raised, which no caller can be told.

    It must not raise, or Python prints that: at the end of the process the modules it needs may be gone.
    """
    try:
        exc = args.exc_value or args.exc_type()
        reason = args.err_msg or "Exception ignored in"
        _log.error("%s: %r", reason, args.object, exc_info=(args.exc_type, exc, args.exc_traceback))
    except Exception:  # noqa: BLE001, S110 - nothing is left to say it with  # nosec B110
        pass
