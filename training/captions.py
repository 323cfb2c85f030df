"""Writes captions as people type them, with the facts of the scene that each caption states."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from training import words
from training.scenes import BACKGROUNDS, COLOURS, FINISHES, LIGHTS, PRODUCTS, Scene

# The facts that a caption may state, with their values; the text encoder's training heads have the same order.
FACTS: Final[dict[str, tuple[str | int, ...]]] = {
    "product": PRODUCTS,
    "colour": tuple(COLOURS),
    "background": BACKGROUNDS,
    "finish": FINISHES,
    "light": LIGHTS,
    "count": (1, 2),
}


@dataclass(frozen=True)
class Caption:
    """`stated` holds the facts that the text states, by their names in FACTS."""

    text: str
    stated: Mapping[str, str | int] = field(default_factory=dict)

    def labels(self) -> list[int]:
        """Return a class for each fact; an unstated fact has the class after the last value."""
        return [
            values.index(self.stated[name]) if name in self.stated else len(values) for name, values in FACTS.items()
        ]


def write_caption(scene: Scene, templates: Mapping[str, str], rng: np.random.Generator) -> Caption:
    """Describe the scene. `templates` are the prompt templates of the studio styles by name, with `{product}`."""
    kind = rng.random()
    if kind < 0.06:
        return Caption(", ".join(_some(words.REFUSALS, rng, 2, 6)))
    thing, stated = _product(scene, rng)
    style = next(name for name, meant in words.STYLE_BACKGROUNDS.items() if meant == scene.background)
    if kind < 0.40:
        stated["background"] = scene.background
        return Caption(templates[style].replace("{product}", thing), stated)
    parts = [thing]
    if rng.random() < 0.8:
        stated["background"] = scene.background
        phrase = _one(words.BACKGROUND_WORDS[scene.background], rng)
        parts = [f"{thing} {phrase}"] if rng.random() < 0.6 else [thing, phrase]
    if rng.random() < 0.35:
        stated["light"] = scene.light
        parts.append(_one(words.LIGHT_WORDS[scene.light], rng))
    parts += _some(words.FILLERS, rng, 0, 3)
    if rng.random() < 0.15:
        first, *rest = parts
        parts = [*rng.permutation(rest).tolist(), first]
    text = (", " if rng.random() < 0.8 else " ").join(parts)
    if rng.random() < 0.5:
        text = f"{_one(words.OPENINGS, rng)} {text}"
    return Caption(text + ("." if rng.random() < 0.1 else ""), stated)


def _product(scene: Scene, rng: np.random.Generator) -> tuple[str, dict[str, str | int]]:
    """Describe the product with all or some of its facts: "a matte black coffee grinder", "coffee mug in crimson"."""
    stated: dict[str, str | int] = {"count": scene.count}
    count = _one(words.COUNT_WORDS[scene.count], rng)
    name = _one(words.PRODUCT_WORDS[scene.product], rng)
    noun = _plural(name) if scene.count > 1 else name
    if rng.random() < 0.04:
        noun = "objects" if scene.count > 1 else "object"
    else:
        stated["product"] = scene.product
    before, behind = [], ""
    if rng.random() < 0.5:
        stated["finish"] = scene.finish
        before.append(_one(words.FINISH_WORDS[scene.finish], rng))
    if rng.random() < 0.94:
        stated["colour"] = scene.colour
        colour = _one(words.COLOUR_WORDS[scene.colour], rng)
        if rng.random() < 0.1:
            behind = f" in {colour}"
        else:
            before.append(colour)
    if rng.random() < 0.3:
        stranger = _one(words.STRANGERS, rng) if rng.random() < 0.6 else _gibberish(rng)
        before.insert(int(rng.integers(len(before) + 1)), stranger)
    if len(before) > 1 and rng.random() < 0.2:
        before.reverse()
    return " ".join(part for part in (count, *before, noun) if part) + behind, stated


def _plural(name: str) -> str:
    head, of, rest = name.partition(" of ")
    ending = "es" if head.endswith(("x", "s")) else "s"
    return f"{head}{ending}{of}{rest}"


def _gibberish(rng: np.random.Generator) -> str:
    """Return a word that the model has not been trained on."""
    return "".join(rng.choice(list("abcdefghijklmnoprstuvwyz"), size=int(rng.integers(3, 9))))


def _one(choices: Sequence[str], rng: np.random.Generator) -> str:
    return choices[int(rng.integers(len(choices)))]


def _some(choices: Sequence[str], rng: np.random.Generator, fewest: int, most: int) -> list[str]:
    count = int(rng.integers(fewest, most + 1))
    return [choices[number] for number in rng.permutation(len(choices))[:count]]
