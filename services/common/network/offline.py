"""Tells whether this process may fetch weights. `studio --offline` sets the variable that huggingface_hub reads."""

import os
from typing import Final

VARIABLE: Final = "HF_HUB_OFFLINE"
_YES: Final = {"1", "ON", "YES", "TRUE"}  # as huggingface_hub has it


def is_offline() -> bool:
    return (os.environ.get(VARIABLE) or os.environ.get("TRANSFORMERS_OFFLINE") or "").upper() in _YES


def go_offline() -> None:
    """Have this process and its children fetch nothing. Call it before huggingface_hub is imported."""
    os.environ[VARIABLE] = "1"
