"""The sentence about a model that cannot be loaded: which file or setting, why, and what to do."""

import re
import traceback
from pathlib import Path
from typing import Final

from services.inference.diffusers.model_folder import INDEX, first_fault
from services.inference.runtime.device_errors import first_line
from services.inference.runtime.fetching.hub import chain_of, hub_failure, hub_fault, said_by
from services.inference.runtime.sources import Source

# transformers and diffusers say it in several ways, of one library or of two.
_NEEDS: Final = re.compile(r"(\w+) requires (?:the )?([^\n]+?)(?: library\b|,)[^\n]* not found")
_VOCABULARY: Final = re.compile(
    r"Could not extract SentencePiece model from (.+?) using sentencepiece library due to (.*)"
)
_LACKING: Final = re.compile(r"Pipeline <class '[\w.]+\.(\w+)'> expected (.+?), but only (.+?) were passed")


def explain(source: Source, folder: Path | None, failure: Exception) -> str:
    """Return the sentence about `failure`. `folder` is where the model's files lie; None if they were not fetched."""
    told = hub_fault(source, failure) if folder is None else first_fault(folder) or _of_index(folder, failure)
    return told or _of_library(source, failure) or _of_rest(source, folder, failure)


def _of_index(folder: Path, failure: Exception) -> str | None:
    """Return the sentence about components that the pipeline's class needs and `model_index.json` has not."""
    import diffusers

    if (said := _LACKING.search(str(failure))) is None:
        return None
    optional = getattr(getattr(diffusers, said[1], None), "_optional_components", ())
    needed, passed = (set(re.findall(r"'(\w+)'", names)) for names in said.group(2, 3))
    lacking = " and no ".join(sorted(needed - passed - {*optional}))
    return (
        f"{folder / INDEX} lists no {lacking}, which a {said[1]} needs; download the model again" if lacking else None
    )


def _of_library(source: Source, failure: Exception) -> str | None:
    """Return the sentence about weights that are pickled, or about a library that is not installed."""
    if "`safetensors` weights" in str(failure):
        refused = "and pickled ones can run code, so they are refused"
        return f"{source.location} lacks safetensors weights, {refused}: take a revision or a model that has them"
    # The warnings first: they say what was tried before the last try, whose failure says little.
    said = [
        *getattr(failure, "__notes__", ()),
        *(str(exc) for exc in chain_of(failure) if isinstance(exc, ImportError)),
    ]
    if needs := next(filter(None, map(_NEEDS.search, said)), None):
        return _of_missing(source, f"{needs[1]} needs the library {needs[2]}, which is not installed", needs[2].lower())
    if unread := next(filter(None, map(_VOCABULARY.search, said)), None):
        return f"{unread[1]} cannot be read as a vocabulary of SentencePiece: {unread[2]}; download it again"
    for exc in chain_of(failure):
        if isinstance(exc, ImportError):
            return _of_missing(source, first_line(exc), exc.name or "it")
    return None


def _of_missing(source: Source, what: str, name: str) -> str:
    return (
        f"{source.location} cannot be loaded: {what}; install {name} with pip where the worker runs, "
        f"or take a model that needs no such library"
    )


def _of_rest(source: Source, folder: Path | None, failure: Exception) -> str:
    """Return the sentence about a failure that only its library understands."""
    if folder is None:
        return hub_failure(source, failure)
    said = said_by(failure)
    if "ignore_mismatched_sizes" in said:
        said = "its weights have other shapes than its config.json says"
    return (
        f"{_place(folder, failure)} cannot be loaded: {said}; download the model again, all its files of the same "
        f"version, or take one that this version of diffusers loads"
    )


def _place(folder: Path, failure: Exception) -> Path:
    """Return the component that diffusers was at, or the index, which is what it reads first; else the folder."""
    place = folder
    for frame, _ in traceback.walk_tb(failure.__traceback__):
        if not frame.f_globals.get("__name__", "").startswith("diffusers."):
            continue
        if frame.f_code.co_name == "load_sub_model":
            return folder / str(frame.f_locals.get("name", ""))
        if frame.f_code.co_name == "from_pretrained":
            place = folder / INDEX
    return place
