"""The record of an input: the JSON beside its file."""

from services.common.documents import Document
from services.common.schemas import InputRef, JobWarning


class InputRecord(InputRef, Document):
    """What a job's message names, and more. `key` is that of its file.

    `inline` is True for one that came inside of a job, and is that job's alone.
    """

    _backend = "objects"
    _name = "the record of an input"
    id: str
    owner: str | None = None
    inline: bool = False
    warnings: tuple[JobWarning, ...] = ()

    @property
    def ref(self) -> InputRef:
        """The input as a job's message names it."""
        return InputRef.model_validate(self.model_dump())
