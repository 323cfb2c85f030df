"""Sends the log of the libraries under an adapter through our own logging."""


def silence_libraries() -> None:
    """Log only errors, through our handlers, and draw no progress bars on the terminal."""
    from diffusers.utils import logging as diffusers_logging
    from huggingface_hub.utils.tqdm import disable_progress_bars
    from transformers.utils import logging as transformers_logging

    disable_progress_bars()
    for logging in (diffusers_logging, transformers_logging):
        logging.disable_progress_bar()
        logging.disable_default_handler()
        logging.enable_propagation()
        logging.set_verbosity_error()
