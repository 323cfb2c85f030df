"""One pipeline of structlog for our own records and those of every library: console on a terminal, JSON otherwise."""

import logging
import sys

import structlog
from structlog.typing import Processor


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
        # First whether anybody wants to know: the rest costs more than many a request.
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
    handler = logging.StreamHandler()
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
    for chatty in (
        "aiormq",
        "aio_pika",
        "botocore",
        "aiobotocore",
        "urllib3",
        "httpx2",
        "httpcore2",
    ):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, root.level))


def _renderers(console: bool) -> list[Processor]:
    if console:
        # Not its default, which shows the values of local variables: prompts, keys and cookies among them.
        plain = structlog.dev.plain_traceback
        return [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)]
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
