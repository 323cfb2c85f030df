"""The query of an artifact's URL: the form in which the client wants the file."""

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from services.api.core.formats.file_format import FORMATS
from services.api.http.requests.query import PLAIN

_FORMAT: Final[dict[str, Any]] = {
    "type": "string",
    "enum": sorted(FORMATS),
    "description": "The file format: png, jpeg (white for transparent) or webp of an image; wav, mp3, opus, flac or "
    "aac of sound; json, txt, srt or vtt of a transcript. Without it, the file as stored.",
}


class ArtifactQuery(BaseModel):
    """The form in which the client wants the file."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    download: Annotated[Literal["0", "1"], Field(description="With 1 browsers save the file.")] = "0"
    format: Annotated[str | None, WithJsonSchema(_FORMAT)] = None
    max_side: Annotated[
        int | None,
        Field(ge=16, le=4096, description="For an image: its longest side in pixels. A larger one is scaled down."),
        PLAIN,
    ] = None
    metadata: Annotated[
        Literal["0", "1"],
        Field(
            description="With 0 the file, which stays marked, does not say how it was made: no prompt, seed or model."
        ),
    ] = "1"
    quality: Annotated[
        int | None,
        Field(ge=0, le=100, description="For JPEG and WebP: 0 is the smallest file, 100 the best. PNG is lossless."),
        PLAIN,
    ] = None
