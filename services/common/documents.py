"""Documents in one of the backends, which another version of this program may have written."""

from typing import ClassVar, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from services.common.errors import NewerVersion

SCHEMA_VERSION: Final = 1


class Frozen(BaseModel):
    """A record that does not change. Fields of a later version are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Document(Frozen):
    """A document that is read from a backend, `_backend`, and is called `_name` in sentences."""

    _backend: ClassVar[str]
    _name: ClassVar[str]
    schema_version: Literal[1] = SCHEMA_VERSION

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Read the document. Raise NewerVersion, or ValueError for any other body."""
        try:
            return cls.model_validate_json(body)
        except ValidationError as exc:
            if (version := _version_of(body)) > SCHEMA_VERSION:
                raise NewerVersion(cls._backend, cls._name, version) from exc
            raise


class _OnlyVersion(BaseModel):
    schema_version: int = 0


def _version_of(body: bytes) -> int:
    try:
        return _OnlyVersion.model_validate_json(body).schema_version
    except ValidationError:
        return 0
