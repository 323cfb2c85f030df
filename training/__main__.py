"""`python -m training`: train the model and write it to models/studio-tiny. A second start continues the first."""

import argparse
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import torch

from services.common.catalogue.files import load_catalogue
from training import networks
from training.curves import save_curves
from training.lessons import Lessons, write_captions
from training.loop import device
from training.photos import render_photos
from training.recipe import CPU, GPU, Recipe
from training.train_autoencoder import encode_photos, train_autoencoder
from training.train_decoder import train_decoder
from training.train_text_encoder import build_tokenizer, tokenize, train_text_encoder
from training.train_unet import train_unet

ROOT = Path(__file__).resolve().parents[1]


def train(folder: Path, target: Path, recipe: Recipe) -> None:
    """Train in `folder` and write the pipeline to `target`."""
    folder.mkdir(parents=True, exist_ok=True)
    styles = load_catalogue(ROOT / "models" / "models.toml", ROOT / "models" / "styles.toml").styles
    templates = {name: style.template for name, style in styles.items()}
    tokenizer = build_tokenizer(folder, templates, recipe)
    photos = render_photos(folder, recipe.photos, recipe.seed)
    autoencoder = train_autoencoder(folder, photos, recipe)
    latents = encode_photos(folder, autoencoder, photos)
    text_encoder = train_text_encoder(folder, tokenizer, templates, recipe)
    captions = write_captions(folder, recipe.photos, templates, recipe.seed)

    def read(tokens: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return text_encoder(tokens).last_hidden_state  # type: ignore[no-any-return]

    def draw(unet: Any, texts: list[str]) -> torch.Tensor:
        pipeline = _pipeline(autoencoder, text_encoder, tokenizer, unet)
        generators = [torch.Generator().manual_seed(number) for number in range(len(texts))]
        found = pipeline(
            texts,
            num_inference_steps=12,
            guidance_scale=2.0,
            generator=generators,
            output_type="pt",
        )
        return found.images * 2 - 1  # type: ignore[no-any-return]

    lessons = Lessons(latents, captions, tokenize(tokenizer, [""])[0], read)
    unet = train_unet(folder, lessons, draw, recipe)
    autoencoder = train_decoder(folder, autoencoder, unet, photos, lessons, recipe)
    pipeline = _pipeline(autoencoder, text_encoder, tokenizer, unet)
    # Half the size. The text encoder stays in single precision: transformers loads weights in their stored format,
    # diffusers in single precision, and both must match.
    pipeline.unet.half()
    pipeline.vae.half()
    pipeline.save_pretrained(target, safe_serialization=True)


def _pipeline(autoencoder: Any, text_encoder: Any, tokenizer: Any, unet: Any) -> Any:
    from diffusers import StableDiffusionPipeline

    pipeline = StableDiffusionPipeline(
        vae=autoencoder,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=networks.scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _check(folder: Path, parser: argparse.ArgumentParser) -> None:
    """End the command unless files can be made in the folder: training takes hours before the last one is."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as exc:
        parser.error(f"{folder} cannot be written to: {exc.strerror}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="just train-studio-tiny", description=__doc__)
    parser.add_argument(
        "--folder", type=Path, default=ROOT / "build" / "studio-tiny", help="folder for checkpoints and images"
    )
    parser.add_argument("--target", type=Path, default=ROOT / "models" / "studio-tiny", help="folder for the pipeline")
    arguments = parser.parse_args()
    for folder in (arguments.folder, arguments.target):
        _check(folder, parser)
    train(arguments.folder, arguments.target, CPU if device().type == "cpu" else GPU)
    save_curves(arguments.folder, arguments.target / "training.png")


if __name__ == "__main__":
    main()
