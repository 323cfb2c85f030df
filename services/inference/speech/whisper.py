"""Loads a Whisper model in the format of faster-whisper, which is that of CTranslate2: it holds no code."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from services.common.errors import ModelUnavailable
from services.inference.runtime.device_errors import first_line, is_device_failure, is_out_of_memory

if TYPE_CHECKING:
    from faster_whisper import WhisperModel

# Without the tokenizer faster-whisper asks the hub for another model's.
NEEDED: Final = ("model.bin", "config.json", "tokenizer.json")


def load_whisper(folder: Path, device: str, threads: int) -> "WhisperModel":
    """Return the model in `folder` on `device`, on the CPU with weights of eight bits.

    Raise ModelUnavailable, saying what to do, and what CTranslate2 raises about the device's memory.
    """
    try:
        from faster_whisper import WhisperModel
    except ImportError as exc:
        raise ModelUnavailable(f"{exc}: install the extra `speech` of this package") from exc
    kind, index, numbers = _place(device)
    if lacking := [name for name in NEEDED if not (folder / name).is_file()]:
        raise ModelUnavailable(
            f"{folder} lacks {' and '.join(lacking)}: a model for faster-whisper is a folder with "
            f"{', '.join(NEEDED)}; download it again, or convert it with ct2-transformers-converter"
        )
    try:
        return WhisperModel(
            str(folder),
            device=kind,
            device_index=index,
            compute_type=numbers,
            cpu_threads=threads,
            local_files_only=True,
        )
    except Exception as exc:
        if is_out_of_memory(exc) or is_device_failure(exc):
            raise
        raise ModelUnavailable(
            f"{folder} cannot be loaded on device {device!r}: {type(exc).__name__}: {first_line(exc)}; download the "
            f"model again, or set STUDIO_DEVICE=cpu"
        ) from exc


def _place(device: str) -> tuple[str, int, str]:
    """Return the kind and number of CTranslate2's device, and the format of numbers there. It has CPU and CUDA only."""
    import ctranslate2

    there = ctranslate2.get_cuda_device_count()
    kind, _, number = device.partition(":")
    if kind == "auto":
        kind = "cuda" if there else "cpu"
    if kind != "cuda":
        return "cpu", 0, "int8"
    index = int(number or 0) if (number or "0").isdecimal() else there
    if index >= there:
        raise ModelUnavailable(f"device {device!r} cannot be used: there are {there} CUDA devices; set STUDIO_DEVICE")
    return "cuda", index, "auto"
