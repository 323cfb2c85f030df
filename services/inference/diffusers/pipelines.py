"""Loads a diffusers pipeline: safetensors only, no code from a model, and a sentence of advice when it fails."""

import re
from collections.abc import Collection
from pathlib import Path
from typing import Any, Final

from services.common.errors import ModelUnavailable
from services.inference.diffusers.changes import change_pipeline
from services.inference.diffusers.hardware import Hardware
from services.inference.diffusers.load_faults import explain
from services.inference.diffusers.model_folder import index_fault, variant_of
from services.inference.diffusers.quiet import collected_warnings, silence_libraries
from services.inference.diffusers.tokenizers import check_tokenizers
from services.inference.runtime.device_errors import is_device_failure, is_out_of_memory
from services.inference.runtime.sources import Source

_SAFELY: Final = {"use_safetensors": True, "trust_remote_code": False}
_CLASS: Final = re.compile(r"([A-Z]\w*)(?: were not initialized|\S* LOAD REPORT)")  # of the libraries' warnings
_HALF: Final = "fp16"  # the variant of a model on the hub that has no plain weights


def load_pipeline(auto: str, source: Source, hardware: Hardware, off: Collection[str] = ()) -> Any:
    """Load a pipeline of the diffusers class `auto` onto its device, with all changes but those in `off`.

    Raise ModelUnavailable with a sentence that says what to do, and what torch raises about the device's memory.
    """
    _check_libraries()

    silence_libraries()
    folder = None if source.revision is not None else Path(source.location)
    if folder is not None and (fault := index_fault(folder)):
        raise ModelUnavailable(fault)
    try:
        folder = folder or _downloaded(source)
        if (folder / "unet").is_dir():
            hardware = hardware.for_unet()
        pipeline = _read(auto, folder, hardware)
        denoiser = _checked_denoiser(pipeline, source)
        check_tokenizers(pipeline, folder)
        pipeline.set_progress_bar_config(disable=True)
        pipeline.to(hardware.device)
        change_pipeline(pipeline, denoiser, hardware, off)
    except ModelUnavailable:
        raise
    except Exception as exc:
        if is_out_of_memory(exc) or is_device_failure(exc):
            raise
        raise ModelUnavailable(explain(source, folder, exc)) from exc
    return pipeline


def fetch_pipeline(source: Source) -> Path:
    """Return the folder of a pipeline on the hub, fetched as far as it is not here, with progress bars on a terminal.

    Raise ModelUnavailable with a sentence that says what to do.
    """
    _check_libraries()
    silence_libraries(progress=True)
    try:
        return _downloaded(source)
    except Exception as exc:
        raise ModelUnavailable(explain(source, None, exc)) from exc


def _check_libraries() -> None:
    try:
        import diffusers  # noqa: F401
        import torch  # noqa: F401
    except ImportError as exc:
        raise ModelUnavailable(f"{exc}: install the extra `inference` of this package") from exc


def denoiser_of(pipeline: Any) -> Any:
    """Return the UNet or the transformer of a pipeline, or None without either."""
    return getattr(pipeline, "unet", None) or getattr(pipeline, "transformer", None)


def _checked_denoiser(pipeline: Any, source: Source) -> Any:
    if (denoiser := denoiser_of(pipeline)) is None:
        raise ModelUnavailable(f"{source.location}: a {type(pipeline).__name__} has neither a UNet nor a transformer")
    return denoiser


def _downloaded(source: Source) -> Path:
    """Return the folder of a model on the hub, with the variant fp16 if it has no plain weights."""
    import diffusers

    def download(variant: str | None) -> Path:
        pipeline = diffusers.DiffusionPipeline
        return Path(pipeline.download(source.location, revision=source.revision, variant=variant, **_SAFELY))

    try:
        return download(None)
    except OSError as exc:
        if "`safetensors` weights" not in str(exc):
            raise
        try:
            return download(_HALF)
        except (OSError, ValueError):
            raise exc from None


def _read(auto: str, folder: Path, hardware: Hardware) -> Any:
    """Return the pipeline in `folder`. Raise ModelUnavailable if a part of its weights is missing."""
    import diffusers
    import torch

    # The decoder is in single precision: some overflow in half precision, and all show its rounding.
    formats = {"default": hardware.dtype, "vae": torch.float32}
    with collected_warnings() as warnings:
        try:
            pipeline = getattr(diffusers, auto).from_pretrained(
                folder, dtype=formats, variant=variant_of(folder), **_SAFELY
            )
        except Exception as exc:
            for text in warnings:
                exc.add_note(text)
            raise
    if parts := [_CLASS.search(text) for text in warnings if "newly initialized" in text]:
        names = ", ".join(part[1] for part in parts if part) or "a component"
        raise ModelUnavailable(
            f"{folder} lacks a part of the weights of {names}, so that random numbers would take their place; "
            f"download the model again"
        )
    return pipeline
