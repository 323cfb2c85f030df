"""The types of settings that are more than a text or a number: paths, addresses, URLs of backends, sizes."""

import re
from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator

from services.common.network.addresses import bare_host, expanded, store_url, web_url

_COUNT: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(?:([kmgt])(i)?)?b?", re.IGNORECASE | re.ASCII)
_POWERS: Final = {"k": 1, "m": 2, "g": 3, "t": 4}


def byte_count(text: object) -> object:
    """Return the number of bytes that `text` says; anything but text as it is. Raise ValueError for any other text.

    A unit with an i, as in MiB, is of 1024, the others of 1000.
    """
    if not isinstance(text, str):
        return text
    if found := _COUNT.fullmatch(text.strip()):
        unit = (1024 if found[3] else 1000) ** _POWERS[found[2].lower()] if found[2] else 1
        if count := int(float(found[1]) * unit):
            return count
    raise ValueError(f"got {text[:40]!r}; allowed is a number of bytes, as in 8GB, 500MiB or 1000000")


LocalPath = Annotated[Path, AfterValidator(expanded)]
Host = Annotated[str, AfterValidator(bare_host)]
WebURL = Annotated[str, AfterValidator(web_url)]
BrokerURL = Annotated[str, AfterValidator(store_url("sqlite", "amqp", "amqps"))]
StatusesURL = Annotated[str, AfterValidator(store_url("sqlite", "redis", "rediss"))]
ByteCount = Annotated[int, BeforeValidator(byte_count)]
ObjectsURL = Annotated[str, AfterValidator(store_url("file", "s3"))]


def data_folder(name: str) -> Path:
    """Return the folder of `web` or `models`: inside an installed package, or at the root of a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "data" / name
    return installed if installed.is_dir() else package.parent / name
