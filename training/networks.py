"""The untrained parts of the pipeline with their sizes, and the tokenizer with its vocabulary."""

import json
from collections.abc import Iterable
from typing import Any, Final

LATENT_CHANNELS: Final = 16
LATENT_SIDE: Final = 16  # an eighth of the image's side
LATENT_SCALE: Final = (
    1.6  # scales the standard deviation over all channels to 1; measured, since details come out fainter
)
TOKENS: Final = 64  # longer texts are cut, as in every CLIP pipeline
VOCABULARY: Final = 2048
TEXT_WIDTH: Final = 160
_START, _END = "<|startoftext|>", "<|endoftext|>"


def autoencoder() -> Any:
    """Return an autoencoder of four stages of 32 channels. The encoder's finest stage has no block, to save time."""
    from diffusers import AutoencoderTiny

    model = AutoencoderTiny(
        latent_channels=LATENT_CHANNELS,
        encoder_block_out_channels=(32,) * 4,
        decoder_block_out_channels=(32,) * 4,
        num_encoder_blocks=(0, 1, 2, 3),
        num_decoder_blocks=(3, 3, 2, 1),
        scaling_factor=LATENT_SCALE,
    )
    _start_as_blur(model)
    return model


def text_encoder() -> Any:
    from transformers import CLIPTextConfig, CLIPTextModel

    config = CLIPTextConfig(
        vocab_size=VOCABULARY,
        bos_token_id=VOCABULARY - 2,
        eos_token_id=VOCABULARY - 1,
        pad_token_id=VOCABULARY - 1,
        hidden_size=TEXT_WIDTH,
        intermediate_size=4 * TEXT_WIDTH,
        num_hidden_layers=3,
        num_attention_heads=4,
        max_position_embeddings=TOKENS,
    )
    return CLIPTextModel(config)


def unet() -> Any:
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        sample_size=LATENT_SIDE,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        layers_per_block=1,
        block_out_channels=(80, 128, 160),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=4,  # in diffusers, the number of heads
        norm_num_groups=16,
        cross_attention_dim=TEXT_WIDTH,
    )


def tokenizer(texts: Iterable[str]) -> Any:
    """Learn a byte-pair encoding from `texts`. It contains all single bytes, so unknown words are spelt out."""
    from tokenizers.pre_tokenizers import ByteLevel
    from tokenizers.trainers import BpeTrainer
    from transformers import CLIPTokenizer

    letters = sorted(ByteLevel.alphabet())
    tokens = [*letters, *(f"{letter}</w>" for letter in letters)]
    learner = CLIPTokenizer(vocab=_numbered([*tokens, _START, _END]), merges=[]).backend_tokenizer
    trainer = BpeTrainer(
        vocab_size=VOCABULARY - 256 - 2, initial_alphabet=letters, end_of_word_suffix="</w>", show_progress=False
    )
    learner.train_from_iterator(texts, trainer)
    merges = [tuple(merge) for merge in json.loads(learner.to_str())["model"]["merges"]]
    tokens += list(dict.fromkeys(left + right for left, right in merges))
    room = VOCABULARY - 2
    tokens = (tokens + [f"<|unused{number}|>" for number in range(room)])[:room]
    merges = [merge for merge in merges if "".join(merge) in set(tokens)]
    return CLIPTokenizer(vocab=_numbered([*tokens, _START, _END]), merges=merges, model_max_length=TOKENS)


def _start_as_blur(model: Any) -> None:
    """Initialise the network to pass colours through with a blur, a better start of training than grey output."""
    from diffusers.models.unets.unet_2d_blocks import AutoencoderTinyBlock
    from torch import nn

    for part in (model.encoder, model.decoder):
        for module in part.layers:
            if isinstance(module, AutoencoderTinyBlock):
                nn.init.zeros_(module.conv[-1].weight)
                nn.init.zeros_(module.conv[-1].bias)
            elif isinstance(module, nn.Conv2d):
                noise = nn.init.kaiming_normal_(module.weight, nonlinearity="relu").clone()
                nn.init.dirac_(module.weight)
                module.weight.data.add_(noise, alpha=0.2)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
    # Colours are 0..1 inside; latents have mean 0 and standard deviation 1 outside.
    last, first = model.encoder.layers[-1], next(m for m in model.decoder.layers if isinstance(m, nn.Conv2d))
    last.weight.data.mul_(4)
    last.bias.data[:3] = -2
    first.weight.data.mul_(0.25)
    first.bias.data[:3] = 0.5  # type: ignore[union-attr]


def _numbered(tokens: list[str]) -> dict[str, int]:
    return {token: number for number, token in enumerate(tokens)}


def scheduler() -> Any:
    """Return a scheduler with zero terminal SNR: noise replaces the image, so dark and bright photos start alike."""
    from diffusers import DDIMScheduler

    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        timestep_spacing="trailing",
        rescale_betas_zero_snr=True,
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )
