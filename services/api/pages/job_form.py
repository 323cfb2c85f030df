"""The form of the first page: it turns the strings that a browser sends into the body of a job, and back."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self

from services.api.pages.form_choices import FormChoices, Size
from services.api.pages.submission import new_token, token_or_new
from services.common.schemas import StatusRecord

# The field of each parameter that is chosen and not typed; a size is two parameters.
_FIELDS: Final = {"num_images": "count", "width": "size", "height": "size", "style": "style"}
_LONGEST: Final = 50  # characters of a value that has no limit of its own, such as a number
_SIZE: Final = re.compile(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})")


@dataclass(frozen=True)
class JobForm:
    """`values` are the typed texts by field; `errors` are the sentences to show beside wrong fields."""

    choices: FormChoices
    values: Mapping[str, str]
    errors: Mapping[str, str] = field(default_factory=dict)
    token: str = field(default_factory=new_token)

    @classmethod
    def blank(cls, choices: FormChoices, typed: Mapping[str, str] | None = None) -> Self:
        """Return the form with the first of each choice; `typed` goes before."""
        chosen = {
            "style": [style.name for style in choices.styles],
            "size": [size.value for size in choices.sizes],
            "count": [str(count) for count in choices.counts],
        }
        first = {name: on_offer[0] for name, on_offer in chosen.items() if on_offer}
        return cls(choices, {**first, **(typed or {})})

    @classmethod
    def sent(cls, choices: FormChoices, data: Mapping[str, object]) -> Self:
        values = {name: text for name, text in data.items() if isinstance(text, str)}
        token = token_or_new(values.pop("token", ""))
        box = choices.subject.name if choices.subject else ""
        return cls(choices, {name: text.strip() if name == box else text for name, text in values.items()}, token=token)

    @classmethod
    def like(cls, choices: FormChoices, job: StatusRecord, seed: str) -> Self:
        """Return the form filled in as that job was; `seed` is that of one of its images."""
        params = job.message.params
        names = _names(choices)
        values = {names[name]: _typed(value) for name, value in params.items() if name in names}
        size = choices.model.contract.size(params) if choices.sizes else None
        sized = {"size": f"{size[0]}x{size[1]}"} if size else {}
        return cls(choices, {"style": "", **values, **sized, "seed": seed})

    @property
    def shown(self) -> Mapping[str, str]:
        """The typed texts as the page shows them. The end of one that is more than twice too long is left out."""
        fields = {each.name: each for each in self.choices.typed}
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
        body: dict[str, Any] = {"model": choices.model.name}
        if choices.subject:
            body[choices.subject.name] = values.get(choices.subject.name, "")
        if choices.styles and values.get("style", "").strip():
            body["style"] = values["style"]
        if choices.sizes and "size" in values:
            size = _SIZE.fullmatch(values["size"])
            body["width"], body["height"] = (int(size[1]), int(size[2])) if size else (values["size"],) * 2
        if choices.counts and (count := values.get("count", "").strip()):
            body["num_images"] = int(count) if re.fullmatch("[0-9]{1,3}", count) else count
        body |= {each.name: values[each.name] for each in choices.files if values.get(each.name)}
        for each in choices.details:
            if typed := values.get(each.name, "").strip():
                body[each.name] = each.read(typed)
        return body

    def idempotency_key(self) -> str:
        """Return the same key for a form sent twice by a double click, and another once a field was changed."""
        content = json.dumps(self.body(), sort_keys=True).encode()
        return f"form-{self.token}-{hashlib.sha256(content).hexdigest()[:16]}"

    def given(self, files: Mapping[str, str], faults: Mapping[str, str]) -> Self:
        """Return the form with the ids of the files that were taken in, and a sentence beside each that was not."""
        return replace(self, values={**self.values, **files}, errors=faults)

    def refused(self, faults: Iterable[Mapping[str, object]]) -> Self:
        """Return the form with a sentence beside every wrong field, and a new token as the old one made no job."""
        known = _names(self.choices)
        pointers = [str(fault["pointer"]) for fault in faults]
        names = dict.fromkeys(known.get(pointer.split("/")[1], "form") for pointer in pointers if pointer)
        return type(self)(self.choices, self.values, {name: self._sentence(name) for name in names or ("size",)})

    def _sentence(self, name: str) -> str:
        choices, side, typed = self.choices, self.choices.side, self.values.get(name, "")
        if choices.subject and choices.subject.name == name and not choices.subject.too_long(typed):
            example = f", for example “{choices.styles[0].example}”" if choices.styles else ""
            return f"{choices.words.empty}{example}."
        for each in choices.typed:
            if each.name == name:
                return each.fault(typed)
        for file in choices.files:
            if file.name == name:
                return "This file is gone. Choose it again." if typed else file.empty
        title, things = choices.model.title, choices.words.things
        shape = f"{side.least} to {side.most} pixels a side, in steps of {side.multiple_of}" if side else "other sizes"
        return {
            "style": "This look is not offered any more. Choose one of these.",
            "size": f"Choose another shape: {title} makes {things} of {shape}.",
            "count": f"Choose 1 to {len(choices.counts)} {things}.",
        }.get(name, "This form has a value that is not valid. Reload the page and try again.")


def _names(choices: FormChoices) -> dict[str, str]:
    """Return the name of the field of each parameter."""
    own = (*(each.name for each in choices.typed), *(each.name for each in choices.files))
    return {**_FIELDS, **{name: name for name in own}}  # also of sides that are typed, where no size is chosen


def _typed(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
