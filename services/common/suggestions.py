"""Finds the name that a person may have meant by one that is unknown here; no name is better than a far one."""

from collections.abc import Collection
from difflib import get_close_matches
from typing import Final

_CLOSE: Final = 0.78  # a letter left out, doubled or swapped; "steps" and "style" are at 0.6, "sd15" and "sd21" at 0.75
_SHOWN: Final = 60  # characters of a name that are compared, and stand in a sentence
# Names of the same thing in the programs that people come from.
_SAME: Final = (
    ("steps", "num_inference_steps", "num_steps", "sampling_steps", "sample_steps"),
    ("guidance", "guidance_scale", "cfg_scale", "cfg"),
    ("num_images", "n", "count", "batch_size", "num_outputs", "num_images_per_prompt"),
    ("width", "size", "w"),
    ("height", "size", "h"),
    ("prompt", "text", "input", "product", "caption"),
    ("negative_prompt", "negative", "avoid"),
    ("seed", "random_seed", "noise_seed"),
    ("style", "look", "style_preset"),
    ("model", "model_id", "checkpoint", "engine"),
)


def nearest(name: str, known: Collection[str]) -> str | None:
    """Return the known name that is another spelling of `name`, or another word for it; None where there is none."""
    name = name[:_SHOWN]
    spellings = {_plain(each): each for each in known}
    wanted = _plain(name)
    if wanted in spellings:
        return spellings[wanted]
    for group in _SAME:
        if name.strip().lower() in group:
            for each in group:
                if each in known:
                    return each
    close = get_close_matches(wanted, spellings, 1, _CLOSE)
    return spellings[close[0]] if close else None


def unknown(what: str, name: object, known: Collection[str]) -> str:
    """Return a sentence about an unknown name: what was got, what may be meant, and what there is."""
    near = nearest(name, known) if isinstance(name, str) else None
    meant = f": did you mean {near!r}? There" if near else "; there"
    return f"there is no {what} {_named(name)}{meant} {'are' if known else 'is'} {', '.join(sorted(known)) or 'none'}"


def _named(name: object) -> str:
    if isinstance(name, dict | list):
        return "named by an object" if isinstance(name, dict) else "named by a list"
    return repr(name[:_SHOWN] if isinstance(name, str) else name)[: 2 * _SHOWN]


def _plain(name: str) -> str:
    return name.strip().lower().replace("-", "").replace("_", "").replace(" ", "")
