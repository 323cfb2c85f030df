"""Bodies in the shapes that OpenAI's clients read."""

from typing import Literal

from services.api.http.job_views import WarningView
from services.api.http.view import View


class ImageByUrl(View):
    """The absolute URL of the image, which works by itself, without a key, for an hour."""

    url: str


class ImageInline(View):
    """The image file itself, in base64."""

    b64_json: str


class ImagesResponse(View):
    """The images, in the order of their seeds. `created` is in Unix seconds, `size` is that of the first image.

    `warnings`, which OpenAI's API does not have, name the parts of the request that were not done.
    """

    created: int
    data: tuple[ImageByUrl | ImageInline, ...]
    output_format: Literal["png", "jpeg", "webp"]
    size: str
    warnings: tuple[WarningView, ...] = ()


class OpenAIErrorBody(View):
    """`param` is the client's own name of the field at fault; `code` is one of /problems or of a failed job."""

    message: str
    type: Literal["invalid_request_error", "server_error"]
    param: str | None
    code: str


class OpenAIError(View):
    """An error as OpenAI's clients raise it."""

    error: OpenAIErrorBody


class DurationUsage(View):
    """The seconds of the recording, rounded."""

    type: Literal["duration"]
    seconds: int


class SpokenSegment(View):
    """A part of the recording; its times are seconds from the beginning."""

    id: int
    start: float
    end: float
    text: str


class SpokenWord(View):
    """A word, when it is said, and how sure the model is, 0 to 1."""

    word: str
    start: float
    end: float
    probability: float


class TranscriptionResponse(View):
    """The text alone in the format json; all members that were asked for in verbose_json."""

    text: str
    usage: DurationUsage
    task: Literal["transcribe"] = "transcribe"
    language: str | None = None
    duration: float = 0
    segments: tuple[SpokenSegment, ...] = ()
    words: tuple[SpokenWord, ...] = ()
