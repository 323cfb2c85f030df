"""The record of an input: the JSON beside its file."""

from pydantic import BaseModel, ConfigDict

from services.common.schemas import JobWarning


class InputRecord(BaseModel):
    """`width` and `height` in pixels for a picture, `seconds` for a sound. `key` is that of its file."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    owner: str | None = None
    key: str
    media_type: str
    bytes: int
    sha256: str
    width: int | None = None
    height: int | None = None
    seconds: float | None = None
    warnings: tuple[JobWarning, ...] = ()
