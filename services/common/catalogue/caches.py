"""The folders of downloaded weights on this machine. The variables are those that huggingface_hub reads."""

import os
from pathlib import Path


def hub_cache() -> Path:
    """Return the folder in which huggingface_hub keeps models."""
    folder = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE")
    return _expanded(folder) if folder else _home() / "hub"


def package_cache() -> Path:
    """Return the folder for weights out of packages: beside those of the hub, so that one volume keeps both."""
    return _home() / "packages"


def _home() -> Path:
    return _expanded(os.environ.get("HF_HOME") or f"{os.environ.get('XDG_CACHE_HOME') or '~/.cache'}/huggingface")


def _expanded(folder: str) -> Path:
    return Path(os.path.expanduser(os.path.expandvars(folder)))  # noqa: PTH111 - a home that is none stays as it is
