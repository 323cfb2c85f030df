"""The parameters that pipelines of several families take and do not use, by the signatures and settings of each."""

from types import SimpleNamespace
from typing import Any

import pytest

from services.common.catalogue.catalogue import Model
from services.common.modalities.images import Txt2ImgParams
from services.inference.diffusers.safety import withheld
from services.inference.diffusers.text_limit import CutText, TextLimit, Texts
from services.inference.diffusers.usage import Usage
from tests.support.models.items import tiny_model

TURBO = tiny_model().model_copy(update={"name": "turbo", "defaults": {"guidance": 0.0, "steps": 4}})


class Guided:
    """Stable Diffusion: guided above 1 by one scale, unless its UNet learnt to draw as if it were."""

    def __init__(self, guidance: float = 7.5, **config: Any) -> None:
        self.unet = SimpleNamespace(config={"time_cond_proj_dim": None, **config})
        self._guidance = guidance

    @property
    def do_classifier_free_guidance(self) -> bool:
        return self._guidance > 1 and self.unet.config["time_cond_proj_dim"] is None

    def __call__(
        self,
        prompt: str,
        negative_prompt: str | None = None,
        num_inference_steps: int = 50,
        guidance_scale: float = 7.5,
        generator: object = None,
    ) -> None: ...


class StepDistilled(Guided):
    """A model whose distillation took its guidance, although the pipeline takes a scale."""

    @property
    def do_classifier_free_guidance(self) -> bool:
        return False


class Flux:
    """Guidance is a number that the transformer may or may not read; the negative prompt has a scale of its own."""

    def __init__(self, *, reads_guidance: bool) -> None:
        self.transformer = SimpleNamespace(config={"guidance_embeds": reads_guidance})

    def __call__(
        self,
        prompt: str,
        negative_prompt: str | None = None,
        true_cfg_scale: float = 1.0,
        num_inference_steps: int = 28,
        guidance_scale: float = 3.5,
        generator: object = None,
    ) -> None: ...


class Qwen(Flux):
    """As Flux, but guided by the negative prompt unless it is told otherwise."""

    def __call__(
        self,
        prompt: str,
        negative_prompt: str | None = None,
        true_cfg_scale: float = 4.0,
        num_inference_steps: int = 50,
        guidance_scale: float | None = None,
        generator: object = None,
    ) -> None: ...


class Bare:
    """A pipeline that takes nothing but words."""

    transformer = SimpleNamespace(config={})

    def __call__(self, prompt: str) -> None: ...


def _codes(pipeline: Any, model: Model = TURBO, *, look: str = "", **given: Any) -> list[str]:
    params = Txt2ImgParams.model_validate({"prompt": "mug", **given})
    negative = ", ".join(part for part in (params.negative_prompt, look) if part)
    texts = Texts(CutText("mug"), CutText(negative))
    return [code for code, _ in Usage(pipeline, model).losses(params, texts)]


@pytest.mark.parametrize(
    ("pipeline", "given", "expected"),
    [
        (Guided(5), {"guidance": 5.0, "negative_prompt": "cats"}, []),
        (Guided(1), {"guidance": 1.0, "negative_prompt": "cats"}, ["negative-prompt-unused"]),
        (Guided(), {"negative_prompt": "cats"}, []),
        (Guided(0), {"guidance": 0.0, "look": "blurry"}, []),
        (Guided(0.5), {"guidance": 0.5, "look": "blurry"}, ["negative-prompt-unused"]),
        (Guided(5, time_cond_proj_dim=256), {"guidance": 5.0}, []),
        (
            Guided(5, time_cond_proj_dim=256),
            {"guidance": 5.0, "negative_prompt": "cats"},
            ["negative-prompt-unused"],
        ),
        (StepDistilled(), {"guidance": 4.0}, ["parameter-unused"]),
        (StepDistilled(), {"guidance": 4.0, "negative_prompt": "x"}, ["parameter-unused", "negative-prompt-unused"]),
        (StepDistilled(), {"guidance": 0.0, "steps": 9}, []),
        (Flux(reads_guidance=True), {"guidance": 2.0}, []),
        (Flux(reads_guidance=True), {"guidance": 2.0, "negative_prompt": "cats"}, ["negative-prompt-unused"]),
        (Flux(reads_guidance=False), {"guidance": 2.0}, ["parameter-unused"]),
        (Flux(reads_guidance=False), {"guidance": 0.0}, []),
        (Qwen(reads_guidance=False), {"negative_prompt": "cats"}, []),
        (Qwen(reads_guidance=False), {"guidance": 1.0, "negative_prompt": "cats"}, ["parameter-unused"]),
        (Bare(), {}, ["parameter-unused"]),
        (Bare(), {"steps": 4, "guidance": 0.0}, ["parameter-unused"]),
        (Bare(), {"steps": 5, "guidance": 1.5}, ["parameter-unused"] * 3),
    ],
)
def test_unused_parameters(pipeline: Any, given: dict[str, Any], expected: list[str]) -> None:
    """A warning is told for each value that was asked for and not used, and none for the model's own defaults."""
    assert _codes(pipeline, **given) == expected


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (SimpleNamespace(images=[0, 0]), [False, False]),
        (SimpleNamespace(nsfw_content_detected=None), [False, False]),
        (SimpleNamespace(nsfw_content_detected=[True, False]), [True, False]),
        (SimpleNamespace(nsfw_detected=[0, 1]), [False, True]),
    ],
)
def test_verdicts(result: Any, expected: list[bool]) -> None:
    """A checker's verdict is read image by image; a pipeline without one withholds nothing."""
    assert list(withheld(result, 2)) == expected


class Letters:
    """A tokenizer that makes a token of each letter, and has no limit of its own."""

    model_max_length = 10**30

    def __call__(self, text: str, *, truncation: bool) -> SimpleNamespace:
        assert not truncation
        return SimpleNamespace(input_ids=list(text))


class CLIPLetters(Letters):
    model_max_length = 10


class Long:
    """A pipeline with two text encoders, the second of which reads as much as the call says."""

    tokenizer, tokenizer_2, tokenizer_3 = CLIPLetters(), Letters(), None

    def __call__(self, prompt: str, max_sequence_length: int = 20) -> None: ...


class Unlimited:
    tokenizer = Letters()

    def __call__(self, prompt: str) -> None: ...


def test_limit_is_that_of_the_encoder_that_reads_most() -> None:
    """Text is cut where no text encoder reads it any more, and never where no limit is known."""
    limit = TextLimit.of(Long())
    assert limit is not None
    assert limit.tokens == 20
    assert limit.cut("a mug and more of it!", "mug and more of it") == CutText("a mug and more of!", "it")
    assert TextLimit.of(Unlimited()) is None


@pytest.mark.parametrize(
    ("own", "kept"),
    [
        ("hello " + "木" * 40, "hello " + "木" * 14),
        ("木" * 40 + " hello", "木" * 20),
        ("กี่" * 40, "กี่" * 6),
        ("e\u0301" * 40, "e\u0301" * 10),
        ("👩\u200d🎨" * 20, "👩\u200d🎨" * 6),
        ("Кофемолка " * 9, "Кофемолка Кофемолка"),
        ("a" * 29 + " b", "a" * 20),
    ],
    ids=["after a word", "before one", "vowels above", "accents", "emoji", "Cyrillic", "one word"],
)
def test_cut_in_scripts_without_spaces(own: str, kept: str) -> None:
    """Text without spaces is cut at a letter, wherever it stands, and never between a letter and its marks."""
    limit = TextLimit(Letters(), 20)
    assert limit.cut(own, own) == CutText(kept, own.removeprefix(kept).strip())
