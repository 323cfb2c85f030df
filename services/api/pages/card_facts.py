"""The facts about a job that its card shows: what was asked for, by the titles of its modality's parameters."""

from dataclasses import dataclass
from typing import Final, Self

from services.common.modalities.modality import Media, Modality
from services.common.schemas import JobMessage

_SIZE: Final = ("width", "height")
_FRAMES: Final = {
    Media.AUDIO: (480, 120),
    Media.TEXT: (480, 200),
    Media.VIDEO: (480, 270),
}  # where no size is asked for


@dataclass(frozen=True)
class CardFile:
    """A file that the job is made from: the title of its parameter, and where it can be seen."""

    title: str
    url: str
    media: Media


@dataclass(frozen=True)
class CardFacts:
    """`told` has titles and values. `framed` is true for a job that a look can word; `style` is that look's name."""

    title: str
    told: tuple[tuple[str, str], ...]
    files: tuple[CardFile, ...]
    framed: bool
    style: str | None
    frame: tuple[int, int]
    count: int

    @classmethod
    def of(cls, message: JobMessage, contract: Modality | None) -> Self:
        """Return the facts; of a kind of job that is not known any more, the parameters as they are."""
        if contract is None:
            known = tuple((name, str(value)) for name, value in message.params.items())
            return cls(message.modality, known, (), framed=False, style=None, frame=(1, 1), count=1)
        params, fields, size = message.params, contract.params.model_fields, contract.size(message.params)
        apart = {contract.subject, "style", *contract.inputs, *(_SIZE if size else ())}
        told = {
            fields[name].title or name: f"{value:g}" if isinstance(value, float) else str(value)
            for name, value in params.items()
            if name in fields and name not in apart
        }
        first = {"Size": f"{size[0]} \u00d7 {size[1]}"} if size else {}
        return cls(
            title=contract.title(params) or _file_title(message, contract) or message.modality,
            told=tuple({**first, **told}.items()),
            files=tuple(
                CardFile(fields[name].title or name, f"/v1/inputs/{params[name]}/file", kind.media)
                for name, kind in contract.inputs.items()
                if name in message.inputs
            ),
            framed="style" in fields,
            style=contract.look(params),
            frame=size or _FRAMES.get(contract.makes, (1, 1)),
            count=contract.count(params),
        )


def _file_title(message: JobMessage, contract: Modality) -> str:
    """Return a title for a job that only files say what to make; "" without any."""
    for name, ref in message.inputs.items():
        title = contract.params.model_fields[name].title or name
        return f"{title}, {ref.seconds:.0f} s" if ref.seconds else title
    return ""
