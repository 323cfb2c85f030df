"""`python -m benchmarks.sized_model FOLDER`: random weights of Stable Diffusion 1.5's size, and a catalogue of them.

It costs as much as the real model and needs no download; its images are noise. `--trial` makes a small one of the same
shape, to try a benchmark out. The tokenizer is studio-tiny's, its prompts have CLIP's 77 tokens. Then
`just bench chart --models FOLDER/models.toml --device cuda` measures it.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.subject import MODELS
from services.inference.diffusers.quiet import silence_libraries

CATALOGUE = """[models.{name}]
title = "Random weights in the shape of Stable Diffusion 1.5"
modality = "txt2img"
adapter = "txt2img"
source = "{name}"
default = true
defaults = {{ width = {side}, height = {side}, steps = 8, guidance = 7.5 }}
max_batch = 8
"""
TOKENS = 77
SEED = 15


@dataclass(frozen=True)
class Size:
    name: str
    side: int  # of an image
    unet: tuple[int, int, int, int]  # channels
    vae: tuple[int, int, int, int]
    text: int  # numbers a token


FULL = Size("sd15-sized", 512, (320, 640, 1280, 1280), (128, 256, 512, 512), 768)
TRIAL = Size("sd15-shaped", 64, (32, 64, 128, 128), (32, 32, 64, 64), 96)


def build(folder: Path, size: Size) -> Path:
    """Write the model and its catalogue into `folder`, and return the catalogue's path."""
    silence_libraries()  # first: importing a pipeline logs already

    import torch
    from diffusers import PNDMScheduler, StableDiffusionPipeline

    torch.manual_seed(SEED)
    tokenizer = _tokenizer()
    scheduler = PNDMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", skip_prk_steps=True, steps_offset=1
    )
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):  # a billion random numbers
        pipeline = StableDiffusionPipeline(
            vae=_vae(size),
            text_encoder=_text_encoder(size, tokenizer),
            tokenizer=tokenizer,
            unet=_unet(size),
            scheduler=scheduler,
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
    pipeline.to(dtype=torch.float16)
    pipeline.save_pretrained(folder / size.name, safe_serialization=True)
    catalogue = folder / "models.toml"
    catalogue.write_text(CATALOGUE.format(name=size.name, side=size.side))
    return catalogue


def _tokenizer() -> Any:
    from transformers import CLIPTokenizer

    return CLIPTokenizer.from_pretrained(MODELS.with_name("studio-tiny") / "tokenizer", model_max_length=TOKENS)


def _text_encoder(size: Size, tokenizer: Any) -> Any:
    from transformers import CLIPTextConfig, CLIPTextModel

    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        hidden_size=size.text,
        intermediate_size=4 * size.text,
        num_hidden_layers=12,
        num_attention_heads=12,
        max_position_embeddings=TOKENS,
    )
    return CLIPTextModel(config)


def _unet(size: Size) -> Any:
    """Return a UNet. The defaults of its other parameters (attention, blocks, layers) are Stable Diffusion's."""
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(sample_size=size.side // 8, block_out_channels=size.unet, cross_attention_dim=size.text)


def _vae(size: Size) -> Any:
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        sample_size=size.side,
        block_out_channels=size.vae,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=2,
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sized_model", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--trial", action="store_true", help="a small one of the same shape")
    arguments = parser.parse_args()
    print(build(arguments.folder, TRIAL if arguments.trial else FULL))


if __name__ == "__main__":
    main()
