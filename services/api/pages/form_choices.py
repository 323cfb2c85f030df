"""The choices that the form offers for one model, all from the schema of that model's parameters."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from services.api.http.model_schema import model_schema
from services.api.pages.form_field import FormField
from services.api.pages.media_words import MediaWords, words_of
from services.common.catalogue.catalogue import Catalogue, Model
from services.common.modalities.modality import Media
from services.common.modalities.style import Style

# Width to height. The words are what photographers call the shapes.
SHAPES: Final = (("Square", 1, 1), ("Portrait", 4, 5), ("Landscape", 3, 2))
_ORDER: Final = ("text", "integer", "number", "choice")


@dataclass(frozen=True)
class FileField:
    """A field for a file of this kind."""

    name: str
    media: Media
    label: str

    @property
    def accept(self) -> str:
        """The media types that a browser lets people choose from."""
        return f"{self.media}/*"

    @property
    def empty(self) -> str:
        """The sentence beside the field when there is no file."""
        return "Choose a picture, or take one." if self.media is Media.IMAGE else "Choose a recording."


@dataclass(frozen=True)
class Size:
    """A size in pixels; `value` is its spelling in the form."""

    title: str
    width: int
    height: int

    @property
    def value(self) -> str:
        return f"{self.width}x{self.height}"


@dataclass(frozen=True)
class FormChoices:
    """`subject` is the box for words, None for a model that needs none; `files` are the parameters that name one, and
    `details` those without a place on top.
    """

    model: Model
    words: MediaWords
    subject: FormField | None
    files: Sequence[FileField]
    styles: Sequence[Style]
    sizes: Sequence[Size]
    counts: Sequence[int]
    side: FormField | None
    details: Sequence[FormField]

    @classmethod
    def of(cls, model: Model, catalogue: Catalogue) -> Self:
        """Build the choices for a model that `form_model` returned."""
        schema = model_schema(model, catalogue)
        fields = _fields(schema, model)
        # Without a size of its own, what a model makes has the shape of the file that it is given.
        side = fields.get("width") if "width" in model.defaults or not model.contract.inputs else None
        subject = fields.get(model.contract.subject or "")
        count = fields.get("num_images")
        apart = {"style", "num_images", *(("width", "height") if side else ())}
        rest = (field for name, field in fields.items() if field is not subject and name not in apart)
        return cls(
            model,
            words_of(model.contract),
            subject,
            files=_files(schema, model),
            styles=tuple(catalogue.styles.values()) if "style" in fields else (),
            sizes=tuple(_size(model, side, *shape) for shape in SHAPES) if side else (),
            counts=range(1, int(count.most or 1) + 1) if count else (),
            side=side,
            details=tuple(sorted(rest, key=lambda field: _ORDER.index(field.kind))),
        )

    @property
    def typed(self) -> Sequence[FormField]:
        """The fields that people type into: the box, and the details."""
        return (*((self.subject,) if self.subject else ()), *self.details)


def form_model(catalogue: Catalogue, *names: str | None) -> Model:
    """Return the first named model that has a form; else the default model, else any. Raises LookupError."""
    known = [catalogue.models[name] for name in names if name is not None and name in catalogue.models]
    for model in (*known, catalogue.default_model, *catalogue.models.values()):
        if has_form(model, catalogue):
            return model
    raise LookupError("the pages need a model whose parameters a form can give, and the catalogue has none")


def has_form(model: Model, catalogue: Catalogue) -> bool:
    """True if everything that the model needs can be typed, or is a file."""
    schema = model_schema(model, catalogue)
    return set(schema.get("required", ())) <= {*_fields(schema, model), *model.contract.inputs}


def _fields(schema: Mapping[str, Any], model: Model) -> dict[str, FormField]:
    """Return the fields of the parameters that are no files."""
    required, files = schema.get("required", ()), model.contract.inputs
    typed = ((name, value) for name, value in schema["properties"].items() if name not in files)
    built = (FormField.of(name, value, required=name in required) for name, value in typed)
    return {field.name: field for field in built if field is not None}


def _files(schema: Mapping[str, Any], model: Model) -> Sequence[FileField]:
    described = ((name, kind.media, schema["properties"][name]) for name, kind in model.contract.inputs.items())
    return tuple(FileField(name, media, each.get("title", name)) for name, media, each in described)


def _size(model: Model, side: FormField, title: str, across: int, down: int) -> Size:
    """Return the shape with about as many pixels as the model's own size, which is where its images are best."""
    area = int(model.defaults.get("width", 512)) * int(model.defaults.get("height", 512))
    width = math.sqrt(area * across / down)
    return Size(title, _side(side, width), _side(side, area / width))


def _side(side: FormField, pixels: float) -> int:
    """Return the nearest side that the model allows."""
    step, least, most = side.multiple_of or 1, side.least or 1, side.most or math.inf
    return step * int(min(max(round(pixels / step), math.ceil(least / step)), most // step))
