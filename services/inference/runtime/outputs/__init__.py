"""The outputs and previews that an adapter makes, before they are stored. All are encoded outside the model thread."""

from services.inference.runtime.outputs.audio import AudioOutput
from services.inference.runtime.outputs.image import PREVIEW_SIDE, ImageOutput, Preview
from services.inference.runtime.outputs.output import Encoded, FilteredOutput, NothingMade, Output
from services.inference.runtime.outputs.text import Segment, TranscriptOutput, Word

__all__ = [
    "PREVIEW_SIDE",
    "AudioOutput",
    "Encoded",
    "FilteredOutput",
    "ImageOutput",
    "NothingMade",
    "Output",
    "Preview",
    "Segment",
    "TranscriptOutput",
    "Word",
]
