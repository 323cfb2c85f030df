"""The key that signs cookies and links: the operator's, or with SQLite one that is made once and kept in a file."""

import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import structlog

from services.common.settings import Settings

log = structlog.get_logger(__name__)

FILE: Final = "secret_key"
_BYTES: Final = 32


def secret_key(settings: Settings) -> bytes:
    """Return the key. It may read or write a small file, so do not call it in the event loop.

    Raises OSError when the file cannot be read or written.
    """
    if settings.secret_key is not None:
        return settings.secret_key.get_secret_value().encode()
    if urlsplit(settings.statuses_url).scheme == "sqlite":
        return _kept(settings.data_dir / FILE)
    log.warning(
        "STUDIO_SECRET_KEY is not set: at a restart and between gateways visitors lose their jobs, and image URLs end"
    )
    return secrets.token_bytes(_BYTES)


def _kept(path: Path) -> bytes:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        # Linked into place whole, so that two gateways that start at once never read half a key.
        draft = path.with_name(f"{FILE}-{secrets.token_hex(8)}")
        draft.touch(0o600, exist_ok=False)
        try:
            draft.write_text(secrets.token_hex(_BYTES), "ascii")
            with suppress(FileExistsError):
                _link(draft, path)
        finally:
            draft.unlink(missing_ok=True)
    key = path.read_bytes()
    if len(key) < _BYTES:
        raise OSError(f"{path} holds no whole key: delete it, and the next start makes a new one")
    return key


def _link(draft: Path, path: Path) -> None:
    try:
        os.link(draft, path)
    except FileExistsError:
        raise
    except OSError:  # not every file system has links
        draft.replace(path)
