"""The gateway, with what becomes of requests for jobs counted. Everything else is `Gateway`'s."""

from collections.abc import Mapping
from typing import Any

from services.api.core.gateway import Gateway
from services.api.core.metrics import Metrics
from services.common.backends import Backends
from services.common.catalogue import Catalogue
from services.common.errors import InvalidRequest, StudioError
from services.common.failpoints import Failpoints
from services.common.ports import Quota
from services.common.schemas import StatusRecord
from services.common.settings import Settings


class CountedGateway(Gateway):
    """Requests that are not valid are no jobs: they are counted as HTTP answers only."""

    def __init__(
        self,
        backends: Backends,
        catalogue: Catalogue,
        settings: Settings,
        failpoints: Failpoints | None,
        metrics: Metrics,
    ) -> None:
        super().__init__(backends, catalogue, settings, failpoints)
        self._metrics = metrics

    async def accept(
        self,
        body: Mapping[str, Any],
        *,
        owner: str | None = None,
        idempotency_key: str | None = None,
        quota: Quota | None = None,
    ) -> tuple[StatusRecord, bool]:
        try:
            record, replayed = await super().accept(body, owner=owner, idempotency_key=idempotency_key, quota=quota)
        except InvalidRequest:
            raise
        except StudioError as exc:
            self._metrics.refused(self.model(body.get("model")).name, exc)
            raise
        self._metrics.submitted(record.message.model, "replayed" if replayed else "accepted")
        return record, replayed
