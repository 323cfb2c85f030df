"""The form of /v1/audio/transcriptions beside its file: what OpenAI's clients send. Fields of a form are texts."""

from collections.abc import Iterable
from typing import Annotated, Any, Final, Literal, Self

from pydantic import StringConstraints

from services.api.http.endpoint import JsonSchema
from services.api.openai.models import TRANSCRIPTS
from services.api.openai.request import Blank, OpenAIRequest
from services.common.catalogue.catalogue import Catalogue, Model
from services.common.errors import InvalidRequest

NAMES: Final = {"file": "audio", "language": "language"}
LISTS: Final = ("timestamp_granularities",)
Granularity = Literal["segment", "word"]


class TranscriptionRequest(OpenAIRequest):
    """`timestamp_granularities` are for verbose_json: segments, words or both.

    `prompt` takes only an empty text; `temperature`, `stream` and `chunking_strategy` only what is done anyway.
    """

    model: str | None = None
    language: Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}$")] | None = None
    prompt: Annotated[str, Blank("the models here take no hints: leave it out")] = ""
    response_format: Literal["json", "text", "srt", "vtt", "verbose_json"] = "json"
    temperature: Literal["0", "0.0"] = "0"
    timestamp_granularities: tuple[Granularity, ...] = ()
    stream: Literal["false", "False"] = "false"
    chunking_strategy: Literal["auto"] = "auto"

    @classmethod
    def of_form(cls, fields: Iterable[tuple[str, str]]) -> Self:
        """Read the fields; an empty one counts as left out, and a list has a field for each. Raises InvalidRequest."""
        given: dict[str, Any] = {}
        for field, value in fields:
            name = field.removesuffix("[]")
            if name in LISTS:
                given[name] = (*given.get(name, ()), value)
            elif value:
                given[name] = value
        asked = cls.of(given)
        if asked.timestamp_granularities and asked.response_format != "verbose_json":
            detail = (
                "only the format verbose_json has times of segments or words to choose: ask for that, or leave it out"
            )
            raise InvalidRequest([{"pointer": "/timestamp_granularities", "detail": detail}])
        return asked

    def job(self, model: Model, input_id: str) -> dict[str, Any]:
        """Return the body that `POST /v1/jobs` would take."""
        (parameter,) = model.contract.inputs
        given = {"model": model.name, parameter: input_id, "language": self.language}
        return {name: value for name, value in given.items() if value is not None}


def transcription_fields(catalogue: Catalogue, default: str) -> JsonSchema:
    """Return the schema of the fields, with the models and languages on offer."""
    schema = TRANSCRIPTS.narrow(TranscriptionRequest.model_json_schema(), catalogue, default)
    fields: dict[str, Any] = schema["properties"]
    if languages := TRANSCRIPTS.choices(catalogue, "language"):
        fields["language"] = {"enum": languages}
    for name in LISTS:
        fields[f"{name}[]"] = fields.pop(name)
    verbose = {"properties": {"response_format": {"const": "verbose_json"}}, "required": ["response_format"]}
    needed = schema["required"]
    return {"properties": fields, "required": needed, "dependentSchemas": {f"{LISTS[0]}[]": verbose}}
