"""Sends the log of the libraries under an adapter through our own logging."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager


def silence_libraries(*, progress: bool = False) -> None:
    """Log only errors, through our handlers. Draw no progress bars but, with `progress`, those of a download."""
    from diffusers.utils import logging as diffusers_logging
    from huggingface_hub.utils.tqdm import disable_progress_bars
    from transformers.utils import logging as transformers_logging

    if not progress:
        disable_progress_bars()
    for library in (diffusers_logging, transformers_logging):
        library.disable_progress_bar()
        library.disable_default_handler()
        library.enable_propagation()
        library.set_verbosity_error()


class _Collector(logging.Handler):
    """Collects messages. An error is raised as well, so its message is not needed."""

    def __init__(self, collected: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._collected = collected

    def emit(self, record: logging.LogRecord) -> None:
        self._collected.append(record.getMessage())


@contextmanager
def collected_warnings() -> Iterator[list[str]]:
    """Yield a list that gets the warnings of the libraries, which are logged nowhere."""
    collected: list[str] = []
    collector = _Collector(collected)
    loggers = [logging.getLogger(name) for name in ("diffusers", "transformers")]
    before = [(logger, logger.level, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.addHandler(collector)
        logger.setLevel(logging.WARNING)
        logger.propagate = False
    try:
        yield collected
    finally:
        for logger, level, propagate in before:
            logger.removeHandler(collector)
            logger.setLevel(level)
            logger.propagate = propagate
