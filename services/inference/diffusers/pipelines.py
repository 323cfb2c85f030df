"""Loads a diffusers pipeline: safetensors only, no code from a model, and a sentence of advice when it fails."""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from services.common.errors import ModelUnavailable
from services.inference.diffusers.changes import change_pipeline
from services.inference.diffusers.hardware import Hardware
from services.inference.diffusers.quiet import silence_libraries
from services.inference.runtime.sources import Source


def load_pipeline(auto: str, source: Source, hardware: Hardware, off: Collection[str] = ()) -> Any:
    """Load a pipeline of the diffusers class `auto` onto its device, with all changes but those in `off`.

    Raise ModelUnavailable with a sentence that says what to do.
    """
    try:
        import diffusers
        import torch
    except ImportError as exc:
        raise ModelUnavailable(f"{exc}: install the extra `inference` of this package") from exc
    silence_libraries()
    if source.revision is None and not (Path(source.location) / "model_index.json").is_file():
        alone = next(Path(source.location).glob("*.safetensors"), None)
        cure = f": convert {alone.name} by diffusers' `from_single_file` and `save_pretrained`" if alone else ""
        raise ModelUnavailable(f"{source.location} is no diffusers pipeline: it has no model_index.json{cure}")
    safely = {"use_safetensors": True, "trust_remote_code": False}
    try:
        folder = source.location
        if source.revision is not None:
            folder = diffusers.DiffusionPipeline.download(folder, revision=source.revision, **safely)
        if (Path(folder) / "unet").is_dir():
            hardware = hardware.for_unet()
        # The decoder is in single precision: some overflow in half precision, and all show its rounding.
        formats = {"default": hardware.dtype, "vae": torch.float32}
        pipeline = getattr(diffusers, auto).from_pretrained(folder, dtype=formats, **safely)
    except (OSError, ValueError, RuntimeError) as exc:
        raise ModelUnavailable(_advice(source, exc)) from exc
    denoiser = denoiser_of(pipeline)
    if denoiser is None:
        raise ModelUnavailable(f"{source.location}: a {type(pipeline).__name__} has neither a UNet nor a transformer")
    pipeline.set_progress_bar_config(disable=True)
    pipeline.to(hardware.device)
    torch.backends.cudnn.allow_tf32 = hardware.compute != torch.float32  # it rounds as well, outside of matrix products
    change_pipeline(pipeline, denoiser, hardware, off)
    return pipeline


def denoiser_of(pipeline: Any) -> Any:
    """Return the UNet or the transformer of a pipeline, or None without either."""
    return getattr(pipeline, "unet", None) or getattr(pipeline, "transformer", None)


def _advice(source: Source, failure: Exception) -> str:
    from huggingface_hub import errors

    where, page = source.location, f"https://huggingface.co/{source.location}"
    kinds = tuple({type(exc) for exc in _chain(failure)})

    def due_to(*types: type[BaseException]) -> bool:
        return any(issubclass(kind, types) for kind in kinds)

    if due_to(errors.GatedRepoError):
        return f"{where} is gated: accept its terms on {page} and set HF_TOKEN"
    if due_to(errors.RepositoryNotFoundError):
        return f"{where} is not on the hub, or is private: check the name, or set HF_TOKEN"
    if due_to(errors.RevisionNotFoundError):
        return f"{where} has no revision {source.revision}: copy a commit hash from {page}/commits"
    if due_to(errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled):
        return (
            f"{where} is not in the local cache and the hub cannot be reached{_offline()}: "
            f"run `hf download {where} --revision {source.revision}` once where it can"
        )
    reason = str(failure).partition("\n")[0]
    if ".safetensors" in reason:
        return f"{where} lacks safetensors weights, and pickled ones can run code, so they are refused: {reason}"
    return f"{where} cannot be loaded: {reason}"


def _chain(exc: BaseException | None) -> Iterator[BaseException]:
    """Yield the failure and its causes: diffusers tries the cache when the hub fails, and raises both."""
    if exc is not None:
        yield exc
        yield from _chain(exc.__cause__)
        if exc.__context__ is not exc.__cause__:
            yield from _chain(exc.__context__)


def _offline() -> str:
    from huggingface_hub import is_offline_mode

    return " (HF_HUB_OFFLINE is set)" if is_offline_mode() else ""
