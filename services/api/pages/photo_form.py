"""The form of the first page: it turns the strings that a browser sends into the body of a job, and back."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

from services.api.pages.photo_choices import PhotoChoices, Size
from services.api.pages.submission import new_token, token_or_new
from services.common.schemas import StatusRecord

# The field of each parameter whose field has another name; a size is two parameters.
_FIELDS: Final = {"num_images": "count", "width": "size", "height": "size", "style": "style"}
_LONGEST: Final = 50  # characters of a value that has no limit of its own, such as a number
_SIZE: Final = re.compile(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})")


@dataclass(frozen=True)
class PhotoForm:
    """`values` are the typed texts by field; `errors` are the sentences to show beside wrong fields."""

    choices: PhotoChoices
    values: Mapping[str, str]
    errors: Mapping[str, str] = field(default_factory=dict)
    token: str = field(default_factory=new_token)

    @classmethod
    def blank(cls, choices: PhotoChoices, product: str = "") -> Self:
        chosen = {
            "style": [style.name for style in choices.styles],
            "size": [size.value for size in choices.sizes],
            "count": [str(count) for count in choices.counts],
        }
        return cls(
            choices, {"product": product, **{name: on_offer[0] for name, on_offer in chosen.items() if on_offer}}
        )

    @classmethod
    def sent(cls, choices: PhotoChoices, data: Mapping[str, object]) -> Self:
        values = {name: text for name, text in data.items() if isinstance(text, str)}
        token = token_or_new(values.pop("token", ""))
        return cls(choices, {**values, "product": values.get("product", "").strip()}, token=token)

    @classmethod
    def like(cls, choices: PhotoChoices, job: StatusRecord, seed: str) -> Self:
        """Return the form filled in as that job was; `seed` is that of one of its images."""
        params = job.message.params
        names = _names(choices)
        values = {names[name]: _typed(value) for name, value in params.items() if name in names}
        size = f"{params.get('width')}x{params.get('height')}"
        return cls(choices, {"product": "", "style": "", **values, "size": size, "seed": seed})

    @property
    def shown(self) -> Mapping[str, str]:
        """The typed texts as the page shows them. The end of one that is more than twice too long is left out."""
        fields = {"product": self.choices.subject, **{each.name: each for each in self.choices.details}}
        longest = {name: each.longest or _LONGEST for name, each in fields.items()}
        return {name: text[: 2 * longest.get(name, _LONGEST)] for name, text in self.values.items()}

    @property
    def sizes(self) -> Iterable[Size]:
        """The model's sizes, and after them the job's own where it is another."""
        own = _SIZE.fullmatch(self.values.get("size", ""))
        if own is None or any(size.value == own[0] for size in self.choices.sizes):
            return self.choices.sizes
        return (*self.choices.sizes, Size("As before", int(own[1]), int(own[2])))

    @property
    def tuned(self) -> bool:
        """True if any of the details is filled in or wrong."""
        return any(self.values.get(each.name) or each.name in self.errors for each in self.choices.details)

    def body(self) -> dict[str, Any]:
        """Return the body for `Gateway.accept`; the model's default fills a field left empty."""
        choices, values = self.choices, self.values
        body: dict[str, Any] = {"model": choices.model.name, choices.subject.name: values["product"]}
        if choices.styles and values.get("style", "").strip():
            body["style"] = values["style"]
        if choices.sizes and "size" in values:
            size = _SIZE.fullmatch(values["size"])
            body["width"], body["height"] = (int(size[1]), int(size[2])) if size else (values["size"],) * 2
        if choices.counts and (count := values.get("count", "").strip()):
            body["num_images"] = int(count) if re.fullmatch("[0-9]{1,3}", count) else count
        for each in choices.details:
            if typed := values.get(each.name, "").strip():
                body[each.name] = each.read(typed)
        return body

    def idempotency_key(self) -> str:
        """Return the same key for a form sent twice by a double click, and another once a field was changed."""
        content = json.dumps(self.body(), sort_keys=True).encode()
        return f"form-{self.token}-{hashlib.sha256(content).hexdigest()[:16]}"

    def refused(self, faults: Iterable[Mapping[str, object]]) -> Self:
        """Return the form with a sentence beside every wrong field, and a new token as the old one made no job."""
        known = _names(self.choices)
        pointers = [str(fault["pointer"]) for fault in faults]
        names = dict.fromkeys(known.get(pointer.split("/")[1], "form") for pointer in pointers if pointer)
        return type(self)(self.choices, self.values, {name: self._sentence(name) for name in names or ("size",)})

    def _sentence(self, name: str) -> str:
        choices, side = self.choices, self.choices.side
        typed = self.values.get(name, "")
        for each in choices.details:
            if each.name == name:
                return each.fault(typed)
        too_long = choices.subject.longest is not None and len(typed) > choices.subject.longest
        example = f", for example “{choices.styles[0].example}”" if choices.styles else ""
        return {
            "product": choices.subject.fault(typed) if too_long else f"Say what to photograph{example}.",
            "style": "This look is not offered any more. Choose one of these.",
            "size": f"Choose another shape: {choices.model.title} makes photos of {side.least} to {side.most} pixels a "
            f"side, in steps of {side.multiple_of}."
            if side
            else "",
            "count": f"Choose 1 to {len(choices.counts)} photos.",
        }.get(name, "This form has a value that is not valid. Reload the page and try again.")


def _names(choices: PhotoChoices) -> dict[str, str]:
    """Return the name of the field of each parameter."""
    return {**_FIELDS, choices.subject.name: "product", **{each.name: each.name for each in choices.details}}


def _typed(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
