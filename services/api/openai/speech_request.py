"""The body of /v1/audio/speech: what OpenAI's clients send, and what similar servers take besides."""

from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, StringConstraints

from services.api.http.endpoint import JsonSchema
from services.api.openai.models import SPEECH
from services.api.openai.request import Blank, OpenAIRequest, with_nulls
from services.common.catalogue.catalogue import Catalogue, Model
from services.common.modalities.params import VISIBLE, Seed
from services.common.modalities.speech import MAX_CHARACTERS, Speed

# The parameters' names of OpenAI's clients, and the names here.
NAMES: Final = {"input": "text", "voice": "voice", "speed": "speed", "seed": "seed"}
# OpenAI's own first voice, which clients have built in: no model here has a voice of this name.
USUAL_VOICE: Final = "alloy"
_UNTOLD: Final = "the voices here cannot be told how to speak: leave it out, or choose `speed` and `voice`"


def _voice(given: object) -> object:
    """Take `{"id": NAME}`, OpenAI's way to name a voice that was made, for the name alone."""
    return given["id"] if isinstance(given, dict) and list(given) == ["id"] else given


class SpeechRequest(OpenAIRequest):
    """`voice` is one of the model's; `alloy`, which clients send unasked, is the model's usual one, as no voice is.

    `response_format` pcm is 16-bit samples, little-endian, 24,000 a second, without a header. `instructions` take only
    an empty text, and `stream_format` only what is done anyway. A null counts as left out, also of a field not named
    here.
    """

    input: Annotated[str, StringConstraints(min_length=1, max_length=MAX_CHARACTERS, pattern=VISIBLE)]
    model: str | None = None
    voice: Annotated[str, BeforeValidator(_voice), Field(max_length=64)] | None = None
    response_format: Literal["mp3", "opus", "aac", "flac", "wav", "pcm"] = "mp3"
    speed: Speed = 1.0
    instructions: Annotated[
        str, Blank("the voices here cannot be told how to speak: leave it out, or choose `speed` and `voice`")
    ] = ""
    stream_format: Literal["audio"] = "audio"
    seed: Seed | None = None

    def job(self, model: Model) -> dict[str, Any]:
        """Return the body that `POST /v1/jobs` would take."""
        given: dict[str, Any] = {
            "model": model.name,
            str(model.contract.subject): self.input,
            "voice": None if self.voice == USUAL_VOICE else self.voice,
            "speed": self.speed if "speed" in self.model_fields_set else None,
            "seed": self.seed,
        }
        return {name: value for name, value in given.items() if value is not None}


def speech_schemas(catalogue: Catalogue, default: str) -> dict[str, JsonSchema]:
    """Return the schema of the body, with the models and voices on offer."""
    schema = SPEECH.narrow(SpeechRequest.model_json_schema(), catalogue, default)
    if voices := SPEECH.choices(catalogue, "voice"):
        name = {"enum": [USUAL_VOICE, *voices]}
        made = {"type": "object", "properties": {"id": name}, "required": ["id"], "additionalProperties": False}
        schema["properties"]["voice"] = {"anyOf": [name, made]}
    return {SpeechRequest.__name__: with_nulls(schema)}
