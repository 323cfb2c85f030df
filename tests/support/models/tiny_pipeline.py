"""A real text-to-image pipeline of 2.4 million random weights, built without a download: for tests of the adapter."""

from pathlib import Path
from typing import Any

from services.inference.diffusers.quiet import silence_libraries

_WIDTH = 64  # of a token's embedding, so also of what the UNet attends to
_TOKENS = 128  # one a letter; longer prompts are cut, as in every CLIP pipeline
_SEED = 20_240_229


def build_pipeline(folder: Path, *, withholding: bool = False) -> None:
    """Write the pipeline into the empty `folder`, with the same weights every time (safetensors).

    It has no safety checker, or one that is `withholding` every image.
    """
    silence_libraries()  # first: importing a pipeline logs already

    import torch
    from diffusers import DDIMScheduler, StableDiffusionPipeline
    from transformers import CLIPImageProcessorPil, CLIPTextModel

    small = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
    with torch.random.fork_rng(devices=[]):  # leaves the process's own generator as it was
        torch.manual_seed(_SEED)
        pipeline = StableDiffusionPipeline(
            vae=_vae(),
            text_encoder=CLIPTextModel(_text_config()),
            tokenizer=_tokenizer(),
            unet=_unet(),
            scheduler=DDIMScheduler(
                beta_start=0.00085,
                beta_end=0.012,
                beta_schedule="scaled_linear",
                clip_sample=False,
                set_alpha_to_one=False,
                steps_offset=1,
            ),
            safety_checker=_withholding_checker() if withholding else None,
            feature_extractor=CLIPImageProcessorPil(**small) if withholding else None,
            requires_safety_checker=withholding,
        )
    pipeline.save_pretrained(folder, safe_serialization=True)


def build_xl_pipeline(folder: Path) -> None:
    """Write a pipeline like Stable Diffusion XL: two text encoders, and a denoiser that is given the image's size."""
    silence_libraries()

    import torch
    from diffusers import EulerDiscreteScheduler, StableDiffusionXLPipeline
    from transformers import CLIPTextModel, CLIPTextModelWithProjection

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        pipeline = StableDiffusionXLPipeline(
            vae=_vae(),
            text_encoder=CLIPTextModel(_text_config()),
            text_encoder_2=CLIPTextModelWithProjection(_text_config(projection_dim=_WIDTH)),
            tokenizer=_tokenizer(),
            tokenizer_2=_tokenizer(),
            unet=_xl_unet(),
            scheduler=EulerDiscreteScheduler(),
        )
    pipeline.save_pretrained(folder, safe_serialization=True)


def _tokenizer() -> Any:
    """Return a tokenizer of the 256 bytes, each inside and at the end of a word, without merges."""
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import CLIPTokenizer

    letters = sorted(ByteLevel.alphabet())
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    return CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=_TOKENS)


def _text_config(**more: int) -> Any:
    from transformers import CLIPTextConfig

    return CLIPTextConfig(
        vocab_size=514,
        bos_token_id=512,
        eos_token_id=513,
        pad_token_id=513,
        hidden_size=_WIDTH,
        intermediate_size=2 * _WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=_TOKENS,
        **more,
    )


def _withholding_checker() -> Any:
    """Return a checker that finds a concept in any image: each of its thresholds is below the least likeness."""
    from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
    from transformers import CLIPConfig

    layers = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    vision = {**layers, "image_size": 32, "patch_size": 16, "projection_dim": 8}
    text = {**layers, "vocab_size": 8, "projection_dim": 8}
    checker = StableDiffusionSafetyChecker(CLIPConfig(vision_config=vision, text_config=text, projection_dim=8))
    checker.concept_embeds_weights.data.fill_(-2)
    return checker


def _unet() -> Any:
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        sample_size=32,
        in_channels=4,
        out_channels=4,
        layers_per_block=1,
        block_out_channels=(8, 16, 32, 128),
        down_block_types=("DownBlock2D",) * 4,
        up_block_types=("UpBlock2D",) * 4,
        mid_block_type="UNetMidBlock2DCrossAttn",  # the one place that sees the prompt
        attention_head_dim=4,
        norm_num_groups=8,
        cross_attention_dim=_WIDTH,
    )


def _xl_unet() -> Any:
    from diffusers import UNet2DConditionModel

    numbers, width = 6, 8  # sizes and crops, each embedded in so many
    return UNet2DConditionModel(
        sample_size=32,
        in_channels=4,
        out_channels=4,
        layers_per_block=1,
        block_out_channels=(8, 16),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=4,
        norm_num_groups=8,
        cross_attention_dim=2 * _WIDTH,
        addition_embed_type="text_time",
        addition_time_embed_dim=width,
        projection_class_embeddings_input_dim=_WIDTH + numbers * width,
    )


def _vae() -> Any:
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        latent_channels=4,
        sample_size=256,
        block_out_channels=(8, 8, 8, 16),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        norm_num_groups=8,
    )
