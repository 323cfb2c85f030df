"""Parameters of a job, one class per modality, with the hard limits nobody may exceed.

A model of the catalogue narrows these (its own sizes, steps and defaults); it never widens them.
"""

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

MAX_SEED = 2**32 - 1  # exact in JSON and JavaScript, and what numpy and torch both take
MAX_PIXELS = 2048 * 2048


class Modality(StrEnum):
    TXT2IMG = "txt2img"
    IMG2IMG = "img2img"
    TXT2TXT = "txt2txt"
    TTS = "tts"
    STT = "stt"
    TXT2VIDEO = "txt2video"
    IMG2VIDEO = "img2video"


# A character that shows: \S alone would let a zero-width space through.
_VISIBLE = r"[^\s\u0000-\u001f\u007f-\u00a0\u00ad\u200b-\u200f\u2028-\u202f\u2060-\u206f\u3000\ufeff]"
Text = Annotated[str, StringConstraints(min_length=1, max_length=1000, pattern=_VISIBLE)]
OptionalText = Annotated[str, StringConstraints(max_length=1000)]
Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]
Side = Annotated[int, Field(ge=64, le=4096, multiple_of=8)]
Steps = Annotated[int, Field(ge=1, le=150)]
Guidance = Annotated[float, Field(ge=0, le=30, allow_inf_nan=False)]
InputKey = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^inputs/[0-9a-f]{64}\.[a-z0-9]+$")]


class Params(BaseModel):
    """What every modality has. Numbers are strict: "7", true and 1.5 are not integers.

    `reproducibility` "strict" is made alone: the same bytes every time on the same build, device and threads, where a
    batch may differ by 1 of 255 from one time to the next.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    seed: Seed | None = None
    reproducibility: Literal["strict"] | None = None


class ImageParams(Params):
    """`width` and `height` in pixels; None means the model's own default."""

    prompt: Text
    negative_prompt: OptionalText | None = None
    style: Annotated[str, StringConstraints(max_length=64)] | None = None
    width: Side | None = None
    height: Side | None = None
    steps: Steps | None = None
    guidance: Guidance | None = None
    num_images: Annotated[int, Field(ge=1, le=4)] = 1

    @model_validator(mode="after")
    def _within_pixel_cap(self) -> Self:
        if self.width and self.height and self.width * self.height > MAX_PIXELS:
            raise ValueError(f"width x height may be at most {MAX_PIXELS} pixels")
        return self


class Txt2ImgParams(ImageParams):
    pass


class Img2ImgParams(ImageParams):
    image: InputKey
    strength: Annotated[float, Field(gt=0, le=1)] = 0.6


class Txt2TxtParams(Params):
    prompt: Annotated[str, StringConstraints(min_length=1, max_length=32_000, pattern=_VISIBLE)]
    max_tokens: Annotated[int, Field(ge=1, le=8192)] = 512
    temperature: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)] = 0.7


class TtsParams(Params):
    text: Annotated[str, StringConstraints(min_length=1, max_length=5000, pattern=_VISIBLE)]
    voice: Annotated[str, StringConstraints(max_length=64)] | None = None
    speed: Annotated[float, Field(ge=0.25, le=4, allow_inf_nan=False)] = 1.0


class SttParams(Params):
    audio: InputKey
    language: Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}$")] | None = None


class Txt2VideoParams(ImageParams):
    frames: Annotated[int, Field(ge=1, le=241)] = 49
    fps: Annotated[int, Field(ge=1, le=60)] = 16


class Img2VideoParams(Txt2VideoParams):
    image: InputKey


PARAMS: dict[Modality, type[Params]] = {
    Modality.TXT2IMG: Txt2ImgParams,
    Modality.IMG2IMG: Img2ImgParams,
    Modality.TXT2TXT: Txt2TxtParams,
    Modality.TTS: TtsParams,
    Modality.STT: SttParams,
    Modality.TXT2VIDEO: Txt2VideoParams,
    Modality.IMG2VIDEO: Img2VideoParams,
}
