"""The body of /v1/images/generations: what OpenAI's clients send, and what similar servers take besides.

A value that means the default is taken, an explicit null counts as left out, and what asks for something that this
service does not do is refused by its name, never ignored.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from services.api.core.formats.file_format import FORMATS
from services.api.http.endpoint import JsonSchema
from services.api.openai.models import IMAGES
from services.api.openai.request import OpenAIRequest, with_nulls
from services.common.catalogue.catalogue import Catalogue, Model
from services.common.errors import InvalidRequest
from services.common.modalities.images import Guidance, Steps
from services.common.modalities.params import OptionalText, Seed, Text

# The parameters' names of OpenAI's clients and of similar servers, and the names here.
NAMES: Final = {
    "prompt": "prompt",
    "n": "num_images",
    "style": "style",
    "seed": "seed",
    "negative_prompt": "negative_prompt",
    "num_inference_steps": "steps",
    "guidance_scale": "guidance",
    "reproducibility": "reproducibility",
}
_SIZE: Final = r"^(auto|[0-9]{2,4}x[0-9]{2,4})$"
MOST: Final = 4  # images of one job; OpenAI allows 10


def _size(text: str) -> str:
    if re.fullmatch(_SIZE, text) is None:
        raise PydanticCustomError("size", "give WIDTHxHEIGHT in pixels, such as 512x512, or auto")
    return text


def _number(count: int) -> int:
    if not 1 <= count <= MOST:
        text = "one request makes 1 to {most} images, not {count}: send several requests for more"
        raise PydanticCustomError("n", text, {"most": MOST, "count": count})
    return count


def _not_streamed(value: object) -> object:
    if value is not False:
        raise PydanticCustomError("stream", "images come whole, in one answer: leave it out, or give false")
    return value


class ImagesRequest(OpenAIRequest):
    """Values are checked again by the model's own limits; `style` names one of /v1/styles.

    `output_compression` is the quality of a JPEG or WebP, up to 100, the best; a PNG is lossless and takes only 100.
    `quality`, `background`, `moderation`, `partial_images` and `stream` take what is done anyway; `user` and
    `safety_identifier` take any text, and it is not kept. A null counts as left out, also of a field not named here.
    """

    prompt: Text
    model: str | None = None
    n: Annotated[int, AfterValidator(_number), WithJsonSchema({"type": "integer", "minimum": 1, "maximum": MOST})] = 1
    size: Annotated[str, AfterValidator(_size), WithJsonSchema({"type": "string", "pattern": _SIZE})] = "auto"
    response_format: Literal["url", "b64_json"] = "b64_json"
    output_format: Literal["png", "jpeg", "webp"] = "png"
    output_compression: Annotated[int, Field(ge=0, le=100)] | None = None
    style: str | None = None
    seed: Seed | None = None
    negative_prompt: OptionalText | None = None
    num_inference_steps: Steps | None = None
    guidance_scale: Guidance | None = None
    reproducibility: Literal["strict"] | None = None
    quality: Literal["auto", "standard"] = "auto"
    background: Literal["auto", "opaque"] = "auto"
    moderation: Literal["auto", "low"] = "auto"
    stream: Annotated[Literal[False], BeforeValidator(_not_streamed)] = False
    partial_images: Literal[0] = 0
    user: str | None = None
    safety_identifier: str | None = None

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Self:
        """Read the body. Raises InvalidRequest."""
        asked = super().of(body)
        if asked.encoder_quality is not None and not FORMATS[asked.output_format].lossy:
            fault = {"pointer": "/output_compression", "detail": f"{asked.output_format} is lossless", "allowed": "100"}
            raise InvalidRequest([{**fault, "got": asked.encoder_quality}])
        return asked

    @property
    def encoder_quality(self) -> int | None:
        """`output_compression`; None where it asks for nothing: left out, or 100 (OpenAI's default) for a PNG."""
        return self.output_compression if self.output_format != "png" or self.output_compression != 100 else None

    def job(self, model: Model) -> dict[str, Any]:
        """Return the body that `POST /v1/jobs` would take; without a name where this has none."""
        given = {ours: getattr(self, theirs) for theirs, ours in NAMES.items()}
        given["model"] = model.name if self.model is not None else None
        if self.size != "auto":
            given["width"], given["height"] = (int(side) for side in self.size.split("x"))
        return {name: value for name, value in given.items() if value is not None}


def images_schemas(catalogue: Catalogue, default: str) -> dict[str, JsonSchema]:
    """Return the schema of the body, with the models and looks on offer."""
    schema = IMAGES.narrow(ImagesRequest.model_json_schema(), catalogue, default)
    schema["properties"]["style"] = {"enum": list(catalogue.styles)}
    return {ImagesRequest.__name__: with_nulls(schema)}
