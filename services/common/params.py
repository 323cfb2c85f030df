"""Parameters of a job, one class per modality, with the hard limits that no model may exceed.

A model of the catalogue narrows these (its own sizes, steps and defaults); it never widens them. Titles and
descriptions are for people: the page builds its form from this schema, and `/v1/models` serves it.
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
VISIBLE = r"[^\s\u0000-\u001f\u007f-\u00a0\u00ad\u200b-\u200f\u2028-\u202f\u2060-\u206f\u3000\ufeff]"
Text = Annotated[str, StringConstraints(min_length=1, max_length=1000, pattern=VISIBLE)]
OptionalText = Annotated[str, StringConstraints(max_length=1000)]
Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]
Side = Annotated[int, Field(ge=64, le=4096, multiple_of=8)]
Steps = Annotated[int, Field(ge=1, le=150)]
Guidance = Annotated[float, Field(ge=0, le=30, allow_inf_nan=False)]
InputKey = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^inputs/[0-9a-f]{64}\.[a-z0-9]+$")]


class Params(BaseModel):
    """The parameters of every modality. Numbers are strict: "7", true and 1.5 are not integers.

    A job of `reproducibility` "strict" is made alone: its bytes are the same every time on the same build, device and
    threads. In a batch they may differ by 1 or 2 of 255 from one time to the next.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    seed: Annotated[
        Seed | None, Field(title="Seed", description="The same seed makes the same again. Empty: by chance.")
    ] = None
    reproducibility: Annotated[
        Literal["strict"] | None,
        Field(title="Reproducibility", description="“strict” is made alone, so that every byte is the same next time."),
    ] = None


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
    image: InputKey
    strength: Annotated[
        float,
        Field(gt=0, le=1, title="Strength", description="How far it may leave the given picture."),
    ] = 0.6


class Txt2TxtParams(Params):
    prompt: Annotated[
        str,
        StringConstraints(min_length=1, max_length=32_000, pattern=VISIBLE),
        Field(title="Prompt", description="What to write about."),
    ]
    max_tokens: Annotated[
        int,
        Field(ge=1, le=8192, title="Length", description="At most so many tokens, bits of words."),
    ] = 512
    temperature: Annotated[
        float,
        Field(ge=0, le=2, allow_inf_nan=False, title="Temperature", description="Higher is more surprising."),
    ] = 0.7


class TtsParams(Params):
    text: Annotated[
        str,
        StringConstraints(min_length=1, max_length=5000, pattern=VISIBLE),
        Field(title="Text", description="What to say."),
    ]
    voice: Annotated[
        Annotated[str, StringConstraints(max_length=64)] | None,
        Field(title="Voice", description="Whose voice says it."),
    ] = None
    speed: Annotated[
        float,
        Field(ge=0.25, le=4, allow_inf_nan=False, title="Speed", description="1 is a natural pace."),
    ] = 1.0


class SttParams(Params):
    audio: InputKey
    language: Annotated[
        Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}$")] | None,
        Field(title="Language", description="Its code, such as en. Empty: found out by listening."),
    ] = None


class Txt2VideoParams(ImageParams):
    frames: Annotated[int, Field(ge=1, le=241, title="Frames", description="How many pictures the film has.")] = 49
    fps: Annotated[int, Field(ge=1, le=60, title="Frames a second", description="How fast it plays.")] = 16


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
