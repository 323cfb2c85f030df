"""One pipeline of structlog for our own records and those of every library: console on a terminal, JSON otherwise."""

import logging
import os
import re
import sys
from contextlib import suppress
from typing import Any, Final, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

# Secrets that libraries put into messages and tracebacks. The name before a secret stays.
_SECRETS: Final = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"(://[^\s:/@'\"]*:)[^\s/@'\"]+(?=@)",  # the password of a URL
        r"(\b(?:bearer|basic)\s+)[\w.~+/=-]{8,}",
        r"(\bX-Amz-(?:Signature|Credential|Security-Token)[=:]\s*)[^\s&'\"]+",  # of a presigned URL
        r"((?:secret_key|password|authorization)['\"]?\s*[=:]\s*['\"]?)[^\s'\"&,;)}]+",
    )
)
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # but tabs, and the line breaks of a traceback
# At the levels below warning they log headers, bodies and files.
_CHATTY: Final = (
    *("aiormq", "aio_pika", "botocore", "aiobotocore", "urllib3", "httpx2", "httpcore2"),
    *("hpack", "h2", "python_multipart", "PIL"),
)


def configure_logging(level: str = "info", style: str = "auto") -> None:
    """Send everything to stderr, one line a record. `style` is auto, console or json."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    structlog.configure(
        # The level comes first: the other processors cost more than many a request.
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    console = style == "console" or (style == "auto" and sys.stderr.isatty())
    handler = _Handler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_renderers(console),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for chatty in _CHATTY:
        logging.getLogger(chatty).setLevel(max(logging.WARNING, root.level))


class _Handler(logging.StreamHandler[TextIO]):
    """Writes to stderr. A record that cannot be formatted is replaced by one that says so."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name of the base class
        """Log the error on one line, where `logging` itself would print a traceback. Give up if that fails, too."""
        instead = logging.LogRecord(
            record.name, logging.ERROR, record.pathname, record.lineno, "record not logged", None, sys.exc_info()
        )
        with suppress(Exception):
            self.stream.write(self.format(instead) + self.terminator)
            self.flush()


def _renderers(console: bool) -> list[Processor]:
    # Not structlog's own tracebacks for terminals: they show local variables, and with them settings and requests.
    plain: list[Processor] = [structlog.processors.format_exc_info, _without_secrets]
    if console:
        renderer = structlog.dev.ConsoleRenderer(colors=_in_color(), exception_formatter=structlog.dev.plain_traceback)
        return [*plain, _without_control_characters, renderer]
    return [*plain, structlog.processors.JSONRenderer()]


def _in_color() -> bool:
    """Return whether standard error shows colors, by what https://no-color.org and https://force-color.org agree on."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or (sys.stderr.isatty() and os.environ.get("TERM") != "dumb")


def _without_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Mask secrets, which only records of libraries may have."""
    return {key: _masked(value) for key, value in event.items()}


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        for pattern in _SECRETS:
            value = pattern.sub(r"\1***", value)
    return value


def _without_control_characters(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace what would command the reader's terminal, or look like another record."""
    return {
        key: _CONTROL.sub(" ", value if key == "exception" else value.replace("\n", " "))
        if isinstance(value, str)
        else value
        for key, value in event.items()
    }
