"""The types of settings that are more than a text or a number: paths, addresses and URLs of backends."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

from services.common.network.addresses import bare_host, expanded, store_url, web_url

LocalPath = Annotated[Path, AfterValidator(expanded)]
Host = Annotated[str, AfterValidator(bare_host)]
WebURL = Annotated[str, AfterValidator(web_url)]
BrokerURL = Annotated[str, AfterValidator(store_url("sqlite", "amqp", "amqps"))]
StatusesURL = Annotated[str, AfterValidator(store_url("sqlite", "redis", "rediss"))]
ObjectsURL = Annotated[str, AfterValidator(store_url("file", "s3"))]


def data_folder(name: str) -> Path:
    """Return the folder of `web` or `models`: inside an installed package, or at the root of a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "data" / name
    return installed if installed.is_dir() else package.parent / name
