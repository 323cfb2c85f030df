"""The settings of an image in the one text that other tools read, as Stable Diffusion's first web UI writes it.

The prompt, a line with the negative prompt, and a last line of `Name: value` pairs. Tools take names they do not know.
"""

import json
from collections.abc import Mapping
from typing import Final

PARAMETERS: Final = "parameters"  # the name of the text in the file
_NAMES: Final = {
    "Steps": "steps",
    "CFG scale": "guidance",
    "Seed": "seed",
    "Size": "size",
    "Model": "model",
    "Model revision": "revision",
    "Style": "style",
    "Product": "product",
    "Version": "software",
}


def settings_text(facts: Mapping[str, str]) -> str:
    """Return the text; `facts` are those stored one by one in the file."""
    size = {"size": f"{facts['width']}x{facts['height']}"} if "width" in facts and "height" in facts else {}
    known = {**facts, **size}
    lines = [facts.get("prompt", "")]
    if "negative_prompt" in facts:
        lines.append(f"Negative prompt: {facts['negative_prompt']}")
    lines.append(", ".join(f"{name}: {_quoted(known[fact])}" for name, fact in _NAMES.items() if fact in known))
    return "\n".join(lines)


def _quoted(value: str) -> str:
    """Return the value as JSON where it holds a mark that would end it."""
    return json.dumps(value, ensure_ascii=False) if any(mark in value for mark in ',:\n"') else value
