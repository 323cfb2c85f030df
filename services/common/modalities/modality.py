"""The contract of a modality: everything that the two sides, the page and the CLI ask about a kind of job.

`params` is the mapping that a job's message holds, and not its class: a record may be of another version. A package
adds a modality of its own as an entry point of the group `studio.modalities`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from services.common.modalities.limits import Limits
from services.common.modalities.params import Params
from services.common.modalities.style import Style
from services.common.schemas import InputRef


class Media(StrEnum):
    """The kind of file that a job makes or is given."""

    IMAGE = "image"
    AUDIO = "audio"
    VIDEO = "video"
    TEXT = "text"


@dataclass(frozen=True)
class InputKind:
    """The kind of file that a parameter names."""

    media: Media


@dataclass(frozen=True)
class Cost:
    """The work in one item of a job: about `units` times the seconds that a unit takes in its `bucket`.

    A unit is, for example, a step of an image of one size, or a character to say.
    """

    bucket: str
    units: float = 1.0


@dataclass(frozen=True)
class Words:
    """The texts that the model reads."""

    prompt: str = ""
    negative_prompt: str = ""


@dataclass(frozen=True, kw_only=True)
class Modality:
    """A kind of job. A family overrides what is not as simple as here.

    `subject` is the parameter that says what to make, in words; None where a file does. `inputs` are the parameters
    that name a file.
    """

    name: str
    params: type[Params]
    makes: Media
    limits: type[Limits] = Limits
    subject: str | None = None
    inputs: Mapping[str, InputKind] = field(default_factory=dict)

    def count(self, params: Mapping[str, Any]) -> int:  # noqa: ARG002 - one, whatever is asked
        """Return how many independent items the job asks for."""
        return 1

    def cost(self, params: Mapping[str, Any], inputs: Mapping[str, InputRef]) -> Cost:  # noqa: ARG002 - as above
        """Return the work in one item of the job."""
        return Cost(self.name)

    def size(self, params: Mapping[str, Any]) -> tuple[int, int] | None:  # noqa: ARG002 - as above
        """Return the width and height in pixels that the job asks for; None where it asks for none."""
        return None

    def look(self, params: Mapping[str, Any]) -> str | None:  # noqa: ARG002 - as above
        """Return the name of the look that words the job; None for none."""
        return None

    def words(self, params: Mapping[str, Any], styles: Mapping[str, Style]) -> Words:  # noqa: ARG002 - as above
        """Return the texts that the model reads. Raise InvalidRequest for a look that is not in `styles`."""
        return Words(self.title(params))

    def facts(self, params: Mapping[str, Any], words: Words) -> dict[str, object]:
        """Return what was asked for, by the names that files and pages tell it by. None or "" tells nothing."""
        own = {name: value for name, value in params.items() if name not in self.inputs and name != self.subject}
        return {"prompt": words.prompt, **own}

    def title(self, params: Mapping[str, Any]) -> str:
        """Return the words that the client gave, "" where it gave none."""
        return str(params.get(self.subject, "")) if self.subject else ""

    def shortened(self, params: Params) -> Params:
        """Return parameters of the same kind with as little work as possible, to warm up a model."""
        return params
