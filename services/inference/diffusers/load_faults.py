"""The sentence about a model that cannot be loaded: which file or setting, why, and what to do."""

import re
from collections.abc import Iterator
from pathlib import Path

from services.common.proxies import proxy_fault
from services.inference.diffusers.model_folder import first_fault
from services.inference.runtime.device_errors import first_line
from services.inference.runtime.sources import Source

_NEEDS = re.compile(r"(\w+) requires the (.+?) library but it was not found")


def explain(source: Source, folder: Path | None, failure: Exception) -> str:
    """Return the sentence about `failure`. `folder` is where the model's files lie; None if they were not fetched."""
    return (
        (_of_hub(source, failure) if source.revision is not None else None)
        or (_of_proxy(source) if folder is None else None)
        or (first_fault(folder) if folder is not None else None)
        or _of_library(source, failure)
        or f"{source.location} cannot be loaded: {type(failure).__name__}: {_first_sentence(failure)}; "
        f"download the model again, all its files of the same version, or take one that this version of diffusers loads"
    )


def _of_hub(source: Source, failure: Exception) -> str | None:
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
    return None


def _of_proxy(source: Source) -> str | None:
    fault = proxy_fault()
    return None if fault is None else f"{source.location} cannot be fetched from the hub: {fault}"


def _of_library(source: Source, failure: Exception) -> str | None:
    """Return the sentence about weights that are pickled, or about a library that is not installed."""
    reason = first_line(failure)
    if ".safetensors" in reason or "`safetensors` weights" in reason:
        refused = "and pickled ones can run code, so they are refused"
        return f"{source.location} lacks safetensors weights, {refused}: {reason}"
    for exc in _chain(failure):
        if isinstance(exc, ImportError):
            needs = _NEEDS.search(str(exc))
            what = f"{needs[1]} needs the library {needs[2]}, which is not installed" if needs else first_line(exc)
            name = needs[2].lower() if needs else exc.name or "it"
            return (
                f"{source.location} cannot be loaded: {what}; install {name} with pip where the worker runs, "
                f"or take a model that needs no such library"
            )
    return None


def _first_sentence(failure: Exception) -> str:
    """Return the part of a library's message that says what is wrong, without its advice to programmers."""
    return re.split(r"\.(?:\s|$)", first_line(failure), maxsplit=1)[0]


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
