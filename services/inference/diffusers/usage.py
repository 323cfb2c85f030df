"""The parameters of a job that a pipeline does not use: diffusers takes them and ignores them in silence."""

import inspect
from collections.abc import Iterator
from typing import Any

from services.common.catalogue.catalogue import Model
from services.common.job_warnings import NEGATIVE_PROMPT_CUT, NEGATIVE_PROMPT_UNUSED, PARAMETER_UNUSED, PROMPT_CUT
from services.common.modalities.images import ImageParams
from services.inference.diffusers.pipelines import denoiser_of
from services.inference.diffusers.text_limit import CutText, Texts


class Usage:
    """Tells the losses of a call that a pipeline has just made: some pipelines know only then if they are guided."""

    def __init__(self, pipeline: Any, model: Model) -> None:
        self._pipeline = pipeline
        self._model = model
        self._taken = inspect.signature(pipeline.__call__).parameters
        self._config = denoiser_of(pipeline).config

    def losses(self, params: ImageParams, texts: Texts) -> Iterator[tuple[str, str]]:
        """Yield code and message of a warning for each part of the request that had no effect.

        A value that is the model's own default was not asked for.
        """
        yield from _cut(PROMPT_CUT, "prompt", texts.prompt)
        if self._asked(params, "steps") and "num_inference_steps" not in self._taken:
            yield PARAMETER_UNUSED, f"steps {params.steps} had no effect: {self._model.name} has none to choose"
        if self._asked(params, "guidance") and not self._uses_guidance(self._guidance(params)):
            yield PARAMETER_UNUSED, f"guidance {params.guidance:g} had no effect: {self._model.name} has it built in"
        if "generator" not in self._taken:
            yield PARAMETER_UNUSED, f"the seed had no effect: {self._model.name} makes something else each time"
        if self._uses_negative_prompt(self._guidance(params)):
            yield from _cut(NEGATIVE_PROMPT_CUT, "negative prompt", texts.negative_prompt)
        elif params.negative_prompt or (texts.negative_prompt.text and self._asked(params, "guidance")):
            yield NEGATIVE_PROMPT_UNUSED, self._why_unused(params)

    def _asked(self, params: ImageParams, name: str) -> bool:
        value = getattr(params, name)
        return value is not None and value != self._model.defaults.get(name)

    def _guidance(self, params: ImageParams) -> float:
        if params.guidance is not None:
            return params.guidance
        default = self._default("guidance_scale")
        return float(default) if isinstance(default, int | float) else 0.0

    def _uses_guidance(self, guidance: float) -> bool:
        if "guidance_scale" not in self._taken:
            return False
        if self._embeds_guidance():
            return True
        if (guides := self._guides()) is not None:
            return guides or guidance <= 1  # which asks for none
        return self._config.get("guidance_embeds") is not False  # by transformers like that of Flux; absent in others

    def _uses_negative_prompt(self, guidance: float) -> bool:
        if not self._takes_negative_prompt():
            return False
        if "true_cfg_scale" in self._taken:
            return True
        guides = self._guides()
        return guidance > 1 if guides is None else guides

    def _takes_negative_prompt(self) -> bool:
        """Return False for a model that uses none, whatever the guidance."""
        if "negative_prompt" not in self._taken or self._embeds_guidance():
            return False
        scale = self._default("true_cfg_scale")  # the adapter passes none
        return not isinstance(scale, int | float) or scale > 1

    def _embeds_guidance(self) -> bool:
        """Return True for a model that learnt to draw as if it were guided, such as a latent consistency model."""
        return self._config.get("time_cond_proj_dim") is not None

    def _guides(self) -> bool | None:
        """Return whether the last call drew beside the negative prompt; None for pipelines that do not say."""
        guides = getattr(self._pipeline, "do_classifier_free_guidance", None)
        return guides if isinstance(guides, bool) else None

    def _default(self, name: str) -> object:
        return self._taken[name].default if name in self._taken else None

    def _why_unused(self, params: ImageParams) -> str:
        unused = "what the look keeps out"
        if params.negative_prompt:
            unused = f"the negative prompt “{params.negative_prompt}”"
        guidance = self._guidance(params)
        if self._takes_negative_prompt() and guidance <= 1:
            return f"{unused} had no effect at guidance {guidance:g}: ask for a guidance above 1"
        return f"{unused} had no effect: {self._model.name} cannot use one"


def _cut(code: str, name: str, made: CutText) -> Iterator[tuple[str, str]]:
    if made.cut:
        yield code, f"the {name} is longer than this model reads; these words were cut: “{made.cut}”"
    elif not made.fits:
        yield code, f"the {name} of the look is longer than this model reads; its end was cut"
