"""The catalogue: models on offer and studio styles, the same for both sides."""

import math
import re
from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from services.common.errors import InvalidRequest
from services.common.param_faults import FAULTS, fault_of
from services.common.params import MAX_PIXELS, PARAMS, ImageParams, Modality, Params, Text

Name = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]{0,62}$"),
    Field(description="1 to 63 lower-case letters, digits, dots and hyphens, of which the first is no dot or hyphen"),
]
LimitSide = Annotated[int, Field(ge=64, le=4096, multiple_of=8)]
REPOSITORY: Final = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)  # on the hub
COMMIT: Final = re.compile(r"[0-9a-f]{40}")


class Limits(BaseModel):
    """The limits of one model, within those of its modality; sides in pixels."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    max_side: LimitSide = 2048
    min_side: LimitSide = 64
    multiple_of: Annotated[int, Field(ge=8, le=4096, multiple_of=8)] = 8
    max_steps: Annotated[int, Field(ge=1, le=150)] = 150
    max_images: Annotated[int, Field(ge=1, le=4)] = 4

    @model_validator(mode="after")
    def _some_size_is_allowed(self) -> Self:
        if self.min_side > self.max_side:
            raise ValueError(f"min_side must be at most max_side, which is {self.max_side}, not {self.min_side}")
        least = math.ceil(self.min_side / self.multiple_of) * self.multiple_of
        if least > self.max_side:
            raise ValueError(f"no side from {self.min_side} to {self.max_side} is a multiple of {self.multiple_of}")
        if least * least > MAX_PIXELS:
            raise ValueError(f"min_side allows no image of at most {MAX_PIXELS} pixels: the least is {least} x {least}")
        return self


class Model(BaseModel):
    """One model on offer. `source` is a folder or `hub:OWNER/NAME`; `max_batch` overrides the adapter's own.

    `aliases` are further names on OpenAI's route, for clients in which another model's name is fixed.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name
    title: Text
    modality: Modality
    adapter: Text
    source: Text
    revision: str | None = None
    licence: str = ""
    notes: str = ""
    aliases: tuple[Annotated[str, StringConstraints(min_length=1, max_length=100)], ...] = ()
    default: Annotated[bool, Field(strict=True)] = False
    defaults: Mapping[str, Any] = Field(default_factory=dict)
    limits: Limits = Limits()
    max_batch: Annotated[int, Field(ge=1, le=256, strict=True)] | None = None
    options: Mapping[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _hub_models_are_pinned(self) -> Self:
        if self.source.startswith("hub:") and not self.revision:
            raise ValueError("a hub model needs a revision: a commit hash, so that the model cannot change")
        return self

    def parameters(self, given: Mapping[str, Any]) -> Params:
        """Check the given parameters and add this model's defaults. Raises InvalidRequest."""
        schema = PARAMS[self.modality]
        try:
            params = schema.model_validate(dict(given))
        except ValidationError as exc:
            raise refusal_of(exc, schema) from exc
        # A field that was not given has the modality's own default, which the model's goes before.
        chosen = {name for name in params.model_fields_set if getattr(params, name) is not None}
        params = params.model_copy(update={key: value for key, value in self.defaults.items() if key not in chosen})
        self.check_limits(params)
        return params

    def check_limits(self, params: Params) -> None:
        """Raise InvalidRequest for parameters beyond the limits of this model."""
        if not isinstance(params, ImageParams):
            return
        limits = self.limits
        errors: list[dict[str, object]] = []
        for side in ("width", "height"):
            value = getattr(params, side)
            if value is not None and (not limits.min_side <= value <= limits.max_side or value % limits.multiple_of):
                allowed = f"{limits.min_side} to {limits.max_side} in steps of {limits.multiple_of}"
                errors.append(
                    {
                        "pointer": f"/{side}",
                        "detail": f"{self.name} draws {allowed} pixels, not {value}",
                        "got": value,
                        "allowed": allowed,
                    }
                )
        for name, most in (("steps", limits.max_steps), ("num_images", limits.max_images)):
            value = getattr(params, name)
            if value is not None and value > most:
                errors.append(
                    {
                        "pointer": f"/{name}",
                        "detail": f"{self.name} allows 1 to {most}, not {value}",
                        "got": value,
                        "allowed": f"1 to {most}",
                    }
                )
        if errors:
            raise InvalidRequest(errors)


class Style(BaseModel):
    """A studio look: `template` holds `{product}` once; `example` is a product that suits it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name
    title: Text
    template: Annotated[
        str,
        StringConstraints(pattern=r"^[^{}]*\{product\}[^{}]*$"),
        Field(description="it must hold {product} once, and no other brace"),
    ]
    negative_prompt: str = ""
    swatch: str = "#888888"
    example: Text = "red mug"

    def prompt(self, product: str) -> str:
        """Put the product into the template literally: `{}` or `%s` in it stays text, unlike with str.format."""
        before, _, after = self.template.partition("{product}")
        return before + product + after


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


def refusal_of(exc: ValidationError, schema: type[BaseModel]) -> InvalidRequest:
    """Return the refusal of an object that does not fit `schema`: the first faults, and how many more there are."""
    found = exc.errors(include_url=False)
    return InvalidRequest([fault_of(error, schema) for error in found[:FAULTS]], max(len(found) - FAULTS, 0))
