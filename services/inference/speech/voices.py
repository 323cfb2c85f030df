"""Loads the voices of hibari: each is a network of its own, and reads English as it is spoken where it comes from."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from services.common.errors import ModelUnavailable
from services.inference.runtime.device_errors import first_line, is_out_of_memory

if TYPE_CHECKING:
    from hibari import Hibari


def load_voices(place: Path, threads: int) -> "Mapping[str, Hibari]":
    """Return the voices that `place` holds, by hibari's names: one file, or those in a folder.

    Nothing is fetched: hibari would download a voice that is not there. Raise ModelUnavailable, saying what to do.
    """
    try:
        from hibari import Hibari
        from hibari.voices import VOICES
    except ImportError as exc:
        raise ModelUnavailable(f"{exc}: install the extra `speech` of this package") from exc
    names = {str(entry["file"]): name for name, entry in VOICES.items()}
    found = {names[file.name]: file for file in _files(place) if file.name in names}
    if not found:
        raise ModelUnavailable(f"{place} holds no voice of hibari, which are the files {', '.join(sorted(names))}")
    try:
        voices = {name: Hibari(voice=name, model=str(file), threads=threads) for name, file in found.items()}
        for voice in voices.values():
            voice.phonemize("Ready.")  # loads the dictionaries
    except Exception as exc:
        if is_out_of_memory(exc):
            raise
        told = f"{type(exc).__name__}: {first_line(exc)}"
        raise ModelUnavailable(f"{place} cannot be loaded: {told}; install hibari-tts again") from exc
    return voices


def _files(place: Path) -> list[Path]:
    try:
        return [place] if place.is_file() else sorted(place.glob("*.onnx"))
    except OSError as exc:
        raise ModelUnavailable(f"{place} cannot be read: {exc.strerror}; let this user read it") from exc
