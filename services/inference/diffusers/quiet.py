"""Makes the libraries under an adapter speak through our own logging, or not at all."""


def silence_libraries() -> None:
    """Records of errors only, through our handlers; no progress bars drawn on the terminal."""
    from diffusers.utils import logging as diffusers_logging
    from huggingface_hub.utils.tqdm import disable_progress_bars
    from transformers.utils import logging as transformers_logging

    disable_progress_bars()
    for logging in (diffusers_logging, transformers_logging):
        logging.disable_progress_bar()
        logging.disable_default_handler()
        logging.enable_propagation()
        logging.set_verbosity_error()
