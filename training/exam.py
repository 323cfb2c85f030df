"""Writes the prompts that a trained model is judged by: new scenes with generated captions."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from training.captions import write_caption
from training.judge import ASKED
from training.scenes import HELD_OUT, Scene, sample_scene

_SEED = 99


@dataclass(frozen=True)
class Question:
    """A prompt and the scene it describes."""

    prompt: str
    scene: Scene

    @property
    def unseen(self) -> bool:
        return (self.scene.product, self.scene.colour) in HELD_OUT


def write_exam(templates: Mapping[str, str], count: int) -> list[Question]:
    """Return `count` prompts that state all judged facts; every other one has a pair of product and colour held out."""
    rng = np.random.default_rng(_SEED)
    questions: list[Question] = []
    while len(questions) < count:
        scene = sample_scene(rng, held_out=len(questions) % 2 == 0)
        caption = write_caption(scene, templates, rng)
        if set(ASKED) <= set(caption.stated):
            questions.append(Question(caption.text, scene))
    return questions
