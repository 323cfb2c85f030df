"""Trains the text encoder to classify the facts that a caption states, for any words and any order.

It is trained alone and then frozen. The denoiser thus starts with meaningful features, and held-out pairs of product
and colour are told apart as well as trained ones.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from training import networks
from training.captions import FACTS, Caption, write_caption
from training.loop import Loop, descend, device, rate_at
from training.recipe import Recipe
from training.scenes import sample_scene

_RATE = 1e-3
_TEXTS_FOR_VOCABULARY = 20_000


def build_tokenizer(folder: Path, templates: Mapping[str, str], recipe: Recipe) -> Any:
    place = folder / "tokenizer"
    if not place.exists():
        rng = np.random.default_rng(recipe.seed)
        texts = (write_caption(sample_scene(rng), templates, rng).text for _ in range(_TEXTS_FOR_VOCABULARY))
        networks.tokenizer(texts).save_pretrained(place)
    return load_tokenizer(folder)


def load_tokenizer(folder: Path) -> Any:
    """Load the tokenizer that `build_tokenizer` has saved."""
    from transformers import CLIPTokenizer

    return CLIPTokenizer.from_pretrained(folder / "tokenizer")  # our own folder, not a hub  # nosec B615


def train_text_encoder(folder: Path, tokenizer: Any, templates: Mapping[str, str], recipe: Recipe) -> Any:
    """Train the text encoder and return it, on the device, without its training heads."""
    torch.manual_seed(recipe.seed)
    model = networks.text_encoder().to(device())
    heads = nn.ModuleList(nn.Linear(networks.TEXT_WIDTH, len(values) + 1) for values in FACTS.values()).to(device())
    optimiser = torch.optim.AdamW([*model.parameters(), *heads.parameters()], betas=(0.9, 0.98), weight_decay=0.01)

    def step(number: int) -> torch.Tensor:
        rng = np.random.default_rng([recipe.seed, number, 2])
        captions = [write_caption(sample_scene(rng), templates, rng) for _ in range(recipe.text_batch)]
        ids = tokenize(tokenizer, [caption.text for caption in captions])
        hidden = model(ids.to(device())).last_hidden_state
        loss = _misread(hidden, ids, captions, heads, rng)
        return descend(optimiser, loss, rate_at(number, recipe.text_steps, _RATE))

    parts = {"model": model, "heads": heads, "optimiser": optimiser}
    Loop("text-encoder", folder, parts, recipe.save_seconds).run(recipe.text_steps, step, lambda _number: None)
    return model.eval().requires_grad_(requires_grad=False)


def tokenize(tokenizer: Any, texts: list[str]) -> torch.Tensor:
    """Return the tokens of the texts, batch x TOKENS, as the pipeline makes them."""
    found = tokenizer(texts, padding="max_length", max_length=networks.TOKENS, truncation=True, return_tensors="pt")
    return found.input_ids  # type: ignore[no-any-return]


def _misread(
    hidden: torch.Tensor, ids: torch.Tensor, captions: list[Caption], heads: nn.ModuleList, rng: np.random.Generator
) -> torch.Tensor:
    """Return the cross-entropy of all facts, at the end of the text and at one place in the padding behind it."""
    ends = (ids == networks.VOCABULARY - 1).int().argmax(dim=1)
    later = torch.from_numpy(rng.integers(ends.numpy(), networks.TOKENS))
    labels = torch.tensor([caption.labels() for caption in captions], device=hidden.device)
    rows = torch.arange(len(hidden))
    loss = hidden.new_zeros(())
    for places in (ends, later):
        for number, head in enumerate(heads):
            loss = loss + functional.cross_entropy(head(hidden[rows, places]), labels[:, number])
    return loss / 2
