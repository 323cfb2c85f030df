"""Queue messages and status records for tests of the backends."""

import time
from uuid import uuid4

from services.common.ids import new_job_id
from services.common.schemas import JobMessage, StatusRecord


def new_message(model: str = "none", *, owner: str | None = None) -> JobMessage:
    now = time.time()
    return JobMessage(
        job_id=new_job_id(),
        model=model,
        modality="txt2img",
        params={"prompt": "a red cup"},
        owner=owner,
        created_at=now,
        expires_at=now + 600,
    )


def new_record(message: JobMessage, *, key: str | None = None) -> StatusRecord:
    return StatusRecord(job_id=message.job_id, message=message, created_at=message.created_at, idempotency_key=key)


def new_model() -> str:
    """Return a model name that no other test uses, since queues outlive a test."""
    return f"model-{uuid4().hex[:8]}"
