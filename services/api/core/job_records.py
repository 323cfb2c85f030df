"""Makes the record of a job from what a client asked for."""

import hashlib
import json
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from services.common.catalogue.catalogue import Catalogue, Model
from services.common.errors import ModelNotFound
from services.common.ids import JobIds
from services.common.modalities.params import MAX_SEED
from services.common.schemas import JobMessage, StatusRecord
from services.common.settings import Settings


class JobRecords:
    """`clock` in Unix seconds is that of the status store."""

    def __init__(self, catalogue: Catalogue, settings: Settings, clock: Callable[[], float]) -> None:
        self._catalogue = catalogue
        self._settings = settings
        self._clock = clock
        self._ids = JobIds(clock)

    def model(self, name: object) -> Model:
        """Return the model of this name, or the default one for a request without a name. Raises ModelNotFound."""
        if name is None:
            name = self._settings.model or self._catalogue.default_model.name
        if isinstance(name, str) and name in self._catalogue.models:
            return self._catalogue.models[name]
        raise ModelNotFound(name, self._catalogue.models)

    def make(
        self, body: Mapping[str, Any], owner: str | None, key: str | None, alike: Mapping[str, Any] | None = None
    ) -> StatusRecord:
        """Return the record of a new job, without its inputs. Raises InvalidRequest.

        `alike` is the same in every sending of the request, where `body` is not.
        """
        model = self.model(body.get("model"))
        params = model.parameters({name: value for name, value in body.items() if name != "model"})
        model.contract.words(params.model_dump(), self._catalogue.styles)  # raises for an unknown look
        if params.seed is None:
            # Chosen here, not in the worker, so that a redelivery makes the same image.
            params = params.model_copy(update={"seed": secrets.randbelow(MAX_SEED + 1)})
        now = self._clock()
        message = JobMessage(
            job_id=self._ids.new(),
            model=model.name,
            modality=model.modality,
            params=params.model_dump(mode="json", exclude_none=True),
            owner=owner,
            created_at=now,
            expires_at=now + self._settings.job_ttl_seconds,
        )
        return StatusRecord(
            job_id=message.job_id,
            message=message,
            idempotency_key=key,
            body_hash=hashlib.sha256(json.dumps(alike or body, sort_keys=True).encode()).hexdigest(),
            created_at=now,
        )
