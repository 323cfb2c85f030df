"""The codes of a job's warnings. Each tells the client of a part of its request that was not done.

Every code resolves at /problems/CODE, and none is ever given another meaning. An adapter of another package may use
codes of its own.
"""

from collections.abc import Mapping
from typing import Final

PROMPT_CUT: Final = "prompt-cut"
NEGATIVE_PROMPT_CUT: Final = "negative-prompt-cut"
NEGATIVE_PROMPT_UNUSED: Final = "negative-prompt-unused"
PARAMETER_UNUSED: Final = "parameter-unused"
SIZE_CHANGED: Final = "size-changed"
OUTPUTS_FILTERED: Final = "outputs-filtered"
WORDS_UNSAID: Final = "words-unsaid"
NO_SPEECH: Final = "no-speech"
INPUT_CROPPED: Final = "input-cropped"
ADDRESS_UNKNOWN: Final = "address-unknown"

WARNING_TITLES: Final[Mapping[str, str]] = {
    PROMPT_CUT: "The prompt is longer than the model reads: words of the product were cut, those of the look were kept",
    NEGATIVE_PROMPT_CUT: "The negative prompt is longer than the model reads: words of it were cut",
    NEGATIVE_PROMPT_UNUSED: "The model did not use the negative prompt",
    PARAMETER_UNUSED: "The model did not use a parameter",
    SIZE_CHANGED: "The model made another size than the one asked for",
    OUTPUTS_FILTERED: "The model's safety checker withheld some of the outputs; the others are there",
    WORDS_UNSAID: "The voice has no sound for some of the words, and left them out",
    NO_SPEECH: "The model heard no speech in the recording",
    INPUT_CROPPED: "The picture has another shape than the image asked for: its edges were cut off",
    ADDRESS_UNKNOWN: "The URLs of the images begin with an address that the client may not reach",
}
