"""The form of the first page: from the strings a browser sends to the body a job is made of, and back."""

import hashlib
import json
import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

from services.api.photo_choices import PhotoChoices, Size, Span
from services.common.schemas import StatusRecord

# The names a person sees beside the names a job has.
_PARAMS: Final = {"product": "prompt", "count": "num_images"}
_FIELDS: Final = {
    "prompt": "product",
    "num_images": "count",
    "width": "size",
    "height": "size",
    **{name: name for name in ("style", "negative_prompt", "steps", "guidance", "seed")},
}
_NUMBERS: Final[dict[str, Callable[[str], int | float]]] = {"count": int, "steps": int, "seed": int, "guidance": float}
_SIZE: Final = re.compile(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})")
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{8,64}")


@dataclass(frozen=True)
class PhotoForm:
    """`values` are what was typed, field by field; `errors` the sentence beside each field that is wrong."""

    choices: PhotoChoices
    values: Mapping[str, str]
    errors: Mapping[str, str] = field(default_factory=dict)
    token: str = field(default_factory=lambda: secrets.token_urlsafe(18))

    @classmethod
    def blank(cls, choices: PhotoChoices, product: str = "") -> Self:
        first_look = choices.styles[0].name if choices.styles else ""
        return cls(choices, {"product": product, "style": first_look, "size": choices.sizes[0].value, "count": "1"})

    @classmethod
    def sent(cls, choices: PhotoChoices, data: Mapping[str, object]) -> Self:
        values = {name: text for name, text in data.items() if isinstance(text, str)}
        token = values.pop("token", "")
        form = cls(choices, {**values, "product": values.get("product", "").strip()})
        return cls(choices, form.values, token=token) if _TOKEN.fullmatch(token) else form

    @classmethod
    def like(cls, choices: PhotoChoices, job: StatusRecord, seed: str) -> Self:
        """Filled in as that job was; `seed` is one of its pictures'."""
        params = {_FIELDS[name]: _typed(value) for name, value in job.message.params.items() if name in _FIELDS}
        size = f"{job.message.params.get('width')}x{job.message.params.get('height')}"
        return cls(choices, {"style": "", **params, "size": size, "seed": seed})

    @property
    def sizes(self) -> Iterable[Size]:
        """Those on offer, and the one chosen elsewhere that is none of them."""
        own = _SIZE.fullmatch(self.values.get("size", ""))
        if own is None or any(size.value == own[0] for size in self.choices.sizes):
            return self.choices.sizes
        return (*self.choices.sizes, Size("As before", int(own[1]), int(own[2])))

    @property
    def tuned(self) -> bool:
        """Whether anything below the fold is filled in or wrong."""
        names = ("negative_prompt", "steps", "guidance", "seed")
        return any(self.values.get(name) or name in self.errors for name in names)

    def body(self) -> dict[str, Any]:
        """What `Gateway.submit` takes. A number that is none stays a string, for the schema to refuse."""
        body: dict[str, Any] = {"model": self.choices.model.name}
        for name, text in self.values.items():
            if name == "size":
                size = _SIZE.fullmatch(text)
                body["width"], body["height"] = (int(size[1]), int(size[2])) if size else (text, text)
            elif name == "product" or (name in _FIELDS.values() and text.strip()):
                body[_PARAMS.get(name, name)] = _number(name, text.strip()) if name in _NUMBERS else text
        return body

    def idempotency_key(self) -> str:
        """The same for a form sent twice by a double click, another once anything in it was changed."""
        content = json.dumps(self.body(), sort_keys=True).encode()
        return f"form-{self.token}-{hashlib.sha256(content).hexdigest()[:16]}"

    def refused(self, faults: Iterable[Mapping[str, object]]) -> Self:
        """This form with a sentence beside every field at fault; under a new token, as nothing came of the old."""
        pointers = [str(fault["pointer"]) for fault in faults]
        names = dict.fromkeys(_FIELDS.get(pointer.split("/")[1], "form") for pointer in pointers if pointer)
        return type(self)(self.choices, self.values, {name: self._sentence(name) for name in names or ("size",)})

    def _sentence(self, name: str) -> str:
        choices, limits = self.choices, self.choices.model.limits
        typed, most = len(self.values["product"]), choices.most_text
        whole, misread = (
            "A whole number from",
            "Something in this form is not understood; reload the page and try again.",
        )
        return {
            "product": f"That is {typed} characters; at most {most} fit."
            if typed > most
            else "Say what to photograph, for example “matte black coffee grinder”.",
            "style": "There is no such look any more; choose one of these.",
            "size": f"{choices.model.title} draws {limits.min_side} to {limits.max_side} pixels a side.",
            "count": f"Choose 1 to {choices.counts[-1]} pictures.",
            "negative_prompt": f"At most {most} characters fit.",
            "steps": f"{whole} {_range(choices.steps)}.",
            "guidance": f"A number from {_range(choices.guidance)}.",
            "seed": f"{whole} {_range(choices.seed)}.",
        }.get(name, misread)


def _range(span: Span) -> str:
    return f"{span.least} to {span.most}"


def _typed(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _number(name: str, text: str) -> int | float | str:
    # Python reads more than a person types: underscores, other scripts' digits, and thousands of them.
    if len(text) > 20 or not text.isascii() or "_" in text:
        return text
    try:
        return _NUMBERS[name](text)
    except ValueError:
        return text
