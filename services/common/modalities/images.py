"""Images: from words, and from a picture and words."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Self

from pydantic import Field, StringConstraints, model_validator

from services.common.errors import InvalidRequest
from services.common.modalities.limits import Limits, Properties, narrow_number
from services.common.modalities.modality import Cost, InputKind, Media, Modality, Words
from services.common.modalities.params import InputId, OptionalText, Params, Text
from services.common.modalities.style import Style
from services.common.schemas import InputRef
from services.common.suggestions import unknown

MAX_PIXELS: Final = 2048 * 2048
Side = Annotated[int, Field(ge=64, le=4096, multiple_of=8)]
Steps = Annotated[int, Field(ge=1, le=150)]
Guidance = Annotated[float, Field(ge=0, le=30, allow_inf_nan=False)]


class ImageParams(Params):
    """`width` and `height` in pixels; None means the model's own default."""

    prompt: Annotated[Text, Field(title="Product", description="What to photograph, in a few words.")]
    negative_prompt: Annotated[
        OptionalText | None,
        Field(title="Keep out of the photo", description="What it must not show, besides what the look keeps out."),
    ] = None
    style: Annotated[
        Annotated[str, StringConstraints(max_length=64)] | None,
        Field(
            title="Look",
            description="A studio look, which words the rest of the prompt. Empty: the product's own words.",
        ),
    ] = None
    width: Annotated[Side | None, Field(title="Width", description="In pixels.")] = None
    height: Annotated[Side | None, Field(title="Height", description="In pixels.")] = None
    steps: Annotated[Steps | None, Field(title="Steps", description="More take longer and show finer detail.")] = None
    guidance: Annotated[Guidance | None, Field(title="Guidance", description="How closely it keeps to the words.")] = (
        None
    )
    num_images: Annotated[int, Field(ge=1, le=4, title="Photos", description="Each has a seed of its own.")] = 1

    @model_validator(mode="after")
    def _within_pixel_cap(self) -> Self:
        if self.width and self.height and self.width * self.height > MAX_PIXELS:
            raise ValueError(
                f"width x height may be at most {MAX_PIXELS} pixels, not {self.width} x {self.height}: make one smaller"
            )
        return self


class Txt2ImgParams(ImageParams):
    pass


class Img2ImgParams(ImageParams):
    image: Annotated[InputId, Field(title="Picture", description="The picture to begin with.")]
    strength: Annotated[
        float,
        Field(gt=0, le=1, title="Strength", description="How far it may leave the given picture."),
    ] = 0.6


class ImageLimits(Limits):
    """Sides are in pixels."""

    max_side: Side = 2048
    min_side: Side = 64
    multiple_of: Annotated[int, Field(ge=8, le=4096, multiple_of=8)] = 8
    max_steps: Steps = 150
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

    def faults(self, params: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Yield the faults of sides, steps and number."""
        for name in ("width", "height"):
            side = params.get(name)
            if side is not None and (not self.min_side <= side <= self.max_side or side % self.multiple_of):
                yield name, f"{self.min_side} to {self.max_side} pixels in steps of {self.multiple_of}"
        for name, most in (("steps", self.max_steps), ("num_images", self.max_images)):
            if (params.get(name) or 0) > most:
                yield name, f"1 to {most}"

    def narrow(self, properties: Properties) -> None:
        """Narrow sides, steps and number."""
        for side in ("width", "height"):
            narrow_number(properties, side, self.min_side, self.max_side, self.multiple_of)
        narrow_number(properties, "steps", most=self.max_steps)
        narrow_number(properties, "num_images", most=self.max_images)


@dataclass(frozen=True, kw_only=True)
class Images(Modality):
    """Images of a product in words, which a studio look may frame."""

    makes: Media = Media.IMAGE
    limits: type[Limits] = ImageLimits
    subject: str | None = "prompt"

    def count(self, params: Mapping[str, Any]) -> int:
        """Return how many images are asked for, each with a seed of its own."""
        return _number(params.get("num_images"))

    def cost(self, params: Mapping[str, Any], inputs: Mapping[str, InputRef]) -> Cost:  # noqa: ARG002 - of the base
        """Return the steps of one image: their time is not proportional to its pixels alike on all models."""
        return Cost(f"{params.get('width')}x{params.get('height')}", _number(params.get("steps")))

    def size(self, params: Mapping[str, Any]) -> tuple[int, int] | None:
        """Return the width and height in pixels, where both are known."""
        width, height = params.get("width"), params.get("height")
        return (width, height) if isinstance(width, int) and isinstance(height, int) else None

    def look(self, params: Mapping[str, Any]) -> str | None:
        """Return the name of the studio look."""
        return params.get("style")

    def words(self, params: Mapping[str, Any], styles: Mapping[str, Style]) -> Words:
        """Put the look around the product. Raise InvalidRequest for a look that is not in `styles`."""
        product, negative, name = self.title(params), params.get("negative_prompt") or "", self.look(params)
        if name is None:
            return Words(product, negative)
        if name not in styles:
            allowed = sorted(styles)
            detail = unknown("style", name, allowed)
            raise InvalidRequest([{"pointer": "/style", "detail": detail, "got": name, "allowed": allowed}])
        kept_out = (part for part in (negative, styles[name].negative_prompt) if part)
        return Words(styles[name].prompt(product), ", ".join(kept_out))

    def facts(self, params: Mapping[str, Any], words: Words) -> dict[str, object]:
        """Return the prompt, which holds the words of the look, beside the product that it was put around."""
        asked = ("style", "width", "height", "steps", "guidance", "strength")
        return {
            "prompt": words.prompt,
            "product": self.title(params) if self.look(params) else None,
            "negative_prompt": words.negative_prompt,
            **{name: params.get(name) for name in asked},
        }

    def shortened(self, params: Params) -> Params:
        """Return the same with a single step."""
        return params.model_copy(update={"steps": 1})


TXT2IMG: Final = Images(name="txt2img", params=Txt2ImgParams)
IMG2IMG: Final = Images(name="img2img", params=Img2ImgParams, inputs={"image": InputKind(Media.IMAGE)})


def _number(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 1
