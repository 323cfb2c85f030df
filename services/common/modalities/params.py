"""The parameters that jobs of every modality share, and the types of fields that several families use.

Titles and descriptions are for people: the page builds its form from the schema, and `/v1/models` serves it.
"""

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

MAX_SEED: Final = 2**32 - 1  # exact in JSON and JavaScript, and what numpy and torch both take

# A character that shows: \S alone would let a zero-width space through.
VISIBLE: Final = r"[^\s\u0000-\u001f\u007f-\u00a0\u00ad\u200b-\u200f\u2028-\u202f\u2060-\u206f\u3000\ufeff]"
Text = Annotated[str, StringConstraints(min_length=1, max_length=1000, pattern=VISIBLE)]
OptionalText = Annotated[str, StringConstraints(max_length=1000)]
Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]

_UUID: Final = "[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
_DATA_URL: Final = "data:[a-z]+/[a-z0-9.+-]+;base64,[A-Za-z0-9+/]+={0,2}"
MAX_DATA_URL: Final = 1_400_000  # characters: one megabyte in base64, and its media type
FILE: Final = f"^({_UUID}|{_DATA_URL})$"
InputId = Annotated[
    str,
    StringConstraints(max_length=MAX_DATA_URL, pattern=FILE),
    Field(description="Give the id of a file sent to /v1/inputs, or a base64 data URL. Other URLs are not fetched."),
]


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
