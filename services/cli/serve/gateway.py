"""`studio api`: the gateway alone, until SIGTERM."""

import structlog

from services.api.app import create_app
from services.api.core.metrics import Metrics
from services.api.server import serve
from services.cli.serve.process import freeze_heap, stop_event
from services.common.catalogue.catalogue import Catalogue
from services.common.failpoints import Failpoints
from services.common.network.addresses import GATEWAY
from services.common.settings import Settings
from services.common.telemetry.export import open_tracer

log = structlog.get_logger(__name__)


async def run_gateway(settings: Settings, catalogue: Catalogue) -> None:
    """Serve until SIGTERM. Raises BackendUnavailable, or OSError when the port is taken."""
    async with open_tracer(GATEWAY) as tracer:
        metrics = Metrics()
        app = create_app(settings, catalogue, Failpoints(settings.failpoint), tracer, metrics)
        await serve(app, settings, stop_event(), _ready, metrics)


def _ready(url: str) -> None:
    freeze_heap()
    log.info("gateway ready", url=url)
