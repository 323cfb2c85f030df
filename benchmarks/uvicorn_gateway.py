"""`python -m benchmarks.uvicorn_gateway`: our gateway behind uvicorn, which shows the server's share of a figure."""

from typing import Any, Final, cast

import uvicorn

from services.api.app import create_app
from services.common.catalogue.files import load_catalogue
from services.common.load_settings import load_settings
from services.common.telemetry.logging import configure_logging

OPTIONS: Final = {"loop": "uvloop", "http": "httptools", "log_level": "warning", "access_log": False}


def main() -> None:
    settings = load_settings()
    configure_logging(settings.log_level, settings.log_format)
    app = create_app(settings, load_catalogue(settings.catalogue, settings.styles))
    uvicorn.run(app, host=settings.host, port=settings.port, **cast("dict[str, Any]", OPTIONS))


if __name__ == "__main__":
    main()
