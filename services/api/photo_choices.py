"""What the form offers for one model: sizes, counts and ranges, all from its limits and its modality's schema."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Self

from services.common.catalogue import Catalogue, Model, Style
from services.common.params import Modality, Txt2ImgParams

# Width to height. The words are what photographers call the shapes.
SHAPES = (("Square", 1, 1), ("Portrait", 4, 5), ("Landscape", 3, 2))


@dataclass(frozen=True)
class Size:
    """In pixels; `value` is how the form spells it."""

    title: str
    width: int
    height: int

    @property
    def value(self) -> str:
        return f"{self.width}x{self.height}"


@dataclass(frozen=True)
class Span:
    """The numbers a field takes, ends included; `default` is the model's own, if it has one."""

    least: int
    most: int
    default: float | None = None


@dataclass(frozen=True)
class PhotoChoices:
    model: Model
    styles: Sequence[Style]
    sizes: Sequence[Size]
    counts: Sequence[int]
    steps: Span
    guidance: Span
    seed: Span
    most_text: int

    @classmethod
    def of(cls, model: Model, catalogue: Catalogue) -> Self:
        limits, defaults = model.limits, model.defaults
        guidance, steps, seed, count = (_hard(name) for name in ("guidance", "steps", "seed", "num_images"))
        return cls(
            model=model,
            styles=tuple(catalogue.styles.values()),
            sizes=tuple(_size(model, *shape) for shape in SHAPES),
            counts=range(1, min(count.most, limits.max_images) + 1),
            steps=Span(steps.least, min(steps.most, limits.max_steps), defaults.get("steps")),
            guidance=Span(guidance.least, guidance.most, defaults.get("guidance")),
            seed=seed,
            most_text=_schema()["prompt"]["maxLength"],
        )


def photo_model(catalogue: Catalogue, *names: str | None) -> Model:
    """The first of these names that is a model drawing photos from text; else the default one."""
    known = (catalogue.models[name] for name in names if name is not None and name in catalogue.models)
    return next((model for model in known if model.modality is Modality.TXT2IMG), catalogue.default_model)


def _size(model: Model, title: str, across: int, down: int) -> Size:
    """The shape with about as many pixels as the model's own size, which is where it draws best."""
    area = int(model.defaults.get("width", 512)) * int(model.defaults.get("height", 512))
    width = math.sqrt(area * across / down)
    return Size(title, _side(model, width), _side(model, area / width))


def _side(model: Model, pixels: float) -> int:
    """The nearest side the model can draw."""
    limits = model.limits
    least = math.ceil(limits.min_side / limits.multiple_of)
    most = limits.max_side // limits.multiple_of
    return limits.multiple_of * min(max(round(pixels / limits.multiple_of), least), most)


def _hard(name: str) -> Span:
    """The modality's own range, which no model widens."""
    schema = _schema()[name]
    number = next(part for part in schema.get("anyOf", [schema]) if "maximum" in part)
    return Span(int(number["minimum"]), int(number["maximum"]))


@cache
def _schema() -> dict[str, Any]:
    properties: dict[str, Any] = Txt2ImgParams.model_json_schema()["properties"]
    return properties
