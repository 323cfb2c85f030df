"""Speech: from text to sound, and from sound to text."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import Field, StringConstraints

from services.common.modalities.limits import Limits, Properties, value_schema
from services.common.modalities.modality import Cost, InputKind, Media, Modality
from services.common.modalities.params import VISIBLE, InputId, Params
from services.common.schemas import InputRef

MAX_CHARACTERS: Final = 5000
_USUAL_CHARACTERS: Final = 100  # of a job that is not there yet
_USUAL_SECONDS: Final = 30.0
Speed = Annotated[float, Field(ge=0.25, le=4, allow_inf_nan=False)]


class TtsParams(Params):
    text: Annotated[
        str,
        StringConstraints(min_length=1, max_length=MAX_CHARACTERS, pattern=VISIBLE),
        Field(title="Text", description="What to say."),
    ]
    voice: Annotated[
        Annotated[str, StringConstraints(max_length=64)] | None,
        Field(title="Voice", description="Whose voice says it."),
    ] = None
    speed: Annotated[Speed, Field(title="Speed", description="1 is a natural pace.")] = 1.0


class SttParams(Params):
    audio: Annotated[InputId, Field(title="Recording", description="The sound to write down.")]
    language: Annotated[
        Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}$")] | None,
        Field(title="Language", description="Its code, such as en. Empty: found out by listening."),
    ] = None


class TtsLimits(Limits):
    """`voices` are those on offer; any name passes where there are none."""

    max_characters: Annotated[int, Field(ge=1, le=MAX_CHARACTERS)] = MAX_CHARACTERS
    voices: tuple[Annotated[str, StringConstraints(min_length=1, max_length=64)], ...] = Field((), strict=False)

    def faults(self, params: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Yield the faults of text and voice."""
        if len(params.get("text") or "") > self.max_characters:
            yield "text", f"1 to {self.max_characters} characters"
        if self.voices and params.get("voice") not in (None, *self.voices):
            yield "voice", ", ".join(self.voices)

    def narrow(self, properties: Properties) -> None:
        """Narrow the text, and name the voices."""
        properties["text"]["maxLength"] = self.max_characters
        if self.voices:
            value_schema(properties["voice"])["enum"] = list(self.voices)


class SttLimits(Limits):
    """`languages` are those that the model knows; any passes where there are none."""

    languages: tuple[Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}$")], ...] = Field((), strict=False)

    def faults(self, params: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Yield the fault of the language."""
        if self.languages and params.get("language") not in (None, *self.languages):
            yield "language", ", ".join(self.languages)

    def narrow(self, properties: Properties) -> None:
        """Name the languages."""
        if self.languages:
            value_schema(properties["language"])["enum"] = list(self.languages)


@dataclass(frozen=True, kw_only=True)
class Speech(Modality):
    """Text, said by a voice."""

    makes: Media = Media.AUDIO
    limits: type[Limits] = TtsLimits
    subject: str | None = "text"

    def cost(self, params: Mapping[str, Any], inputs: Mapping[str, InputRef]) -> Cost:  # noqa: ARG002 - of the base
        """Return the characters to say, those of a usual text where none is given."""
        return Cost(self.name, len(self.title(params)) or _USUAL_CHARACTERS)


@dataclass(frozen=True, kw_only=True)
class Transcripts(Modality):
    """Sound, written down."""

    makes: Media = Media.TEXT
    limits: type[Limits] = SttLimits

    def cost(self, params: Mapping[str, Any], inputs: Mapping[str, InputRef]) -> Cost:  # noqa: ARG002 - of the base
        """Return the seconds of the recording, those of a usual one where none is given."""
        return Cost(self.name, sum(ref.seconds or 0.0 for ref in inputs.values()) or _USUAL_SECONDS)


TTS: Final = Speech(name="tts", params=TtsParams)
STT: Final = Transcripts(name="stt", params=SttParams, inputs={"audio": InputKind(Media.AUDIO)})
