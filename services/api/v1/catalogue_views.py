"""What clients see of the catalogue: models and studio looks on offer."""

from typing import Any, Literal

from pydantic import Field

from services.api.http.view import View
from services.common.params import Modality


class LimitsView(View):
    """What this model allows of what its modality allows; sides in pixels."""

    max_side: int
    min_side: int
    multiple_of: int
    max_steps: int
    max_images: int


class ModelView(View):
    """`parameters` is the JSON Schema of what a job of this model takes, `defaults` what it does where nothing is said.

    `typical_seconds` is for one job with the defaults that does not wait, null until one has been made.
    `created` and `owned_by` are there for OpenAI's clients.
    """

    id: str
    object: Literal["model"] = "model"
    created: Literal[0] = 0
    owned_by: Literal["studio"] = "studio"
    title: str
    modality: Modality
    default: bool
    defaults: dict[str, bool | int | float | str]
    limits: LimitsView
    licence: str
    notes: str
    typical_seconds: float | None
    ready_workers: int | None
    parameters: dict[str, Any] = Field(json_schema_extra={"description": "A JSON Schema, draft 2020-12."})


class ModelListView(View):
    """Every model on offer."""

    object: Literal["list"] = "list"
    data: tuple[ModelView, ...]


class StyleView(View):
    """A studio look: `template` holds `{product}` once, `swatch` is its colour, `example` what its picture shows."""

    id: str
    object: Literal["style"] = "style"
    title: str
    template: str
    negative_prompt: str
    swatch: str
    example: str


class StyleListView(View):
    """Every studio look on offer."""

    object: Literal["list"] = "list"
    data: tuple[StyleView, ...]
