"""The record of an input: the JSON beside its file."""

from services.common.documents import Document
from services.common.schemas import InputRef, JobWarning


class InputRecord(Document):
    """`width` and `height` in pixels for a picture, `seconds` for a sound. `key` is that of its file.

    `inline` is True for one that came inside of a job, and is that job's alone.
    """

    _backend = "objects"
    _name = "the record of an input"
    id: str
    owner: str | None = None
    key: str
    media_type: str
    bytes: int
    sha256: str
    width: int | None = None
    height: int | None = None
    seconds: float | None = None
    inline: bool = False
    warnings: tuple[JobWarning, ...] = ()

    @property
    def ref(self) -> InputRef:
        """The input as a job's message names it."""
        return InputRef.model_validate(self.model_dump())
