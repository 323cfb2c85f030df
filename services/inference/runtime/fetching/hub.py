"""Fetches a model from the hub, whose refusals become sentences.

huggingface_hub goes on after a broken connection, and fetches no file again that is whole; a file that a kill cut short
begins anew (https://github.com/huggingface/huggingface_hub/pull/4228).
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from services.common.errors import ModelUnavailable
from services.common.network.proxies import proxy_fault
from services.inference.runtime.device_errors import first_line
from services.inference.runtime.sources import Source


def fetch_from_hub(source: Source, patterns: Sequence[str]) -> Path:
    """Return the folder with the files of a model on the hub that match `patterns`; those that are here stay.

    May block for long. Raise ModelUnavailable with a sentence that says what to do.
    """
    return Path(_snapshot(source, allow_patterns=list(patterns)))


def bytes_to_fetch(source: Source, patterns: Sequence[str]) -> int:
    """Return the size of the files of a model on the hub that match `patterns` and are not here.

    Asks the hub. Raise ModelUnavailable with a sentence that says what to do.
    """
    files = _snapshot(source, allow_patterns=list(patterns), dry_run=True)
    return sum(file.file_size for file in files if file.will_download)


def _snapshot(source: Source, **asked: Any) -> Any:
    try:
        from huggingface_hub import snapshot_download
    except ImportError as exc:
        raise ModelUnavailable(f"{source.location} is on the hub: install huggingface_hub where this runs") from exc
    try:
        return snapshot_download(source.location, revision=source.revision, **asked)
    except Exception as exc:
        raise ModelUnavailable(hub_fault(source, exc) or hub_failure(source, exc)) from exc


def hub_fault(source: Source, failure: BaseException) -> str | None:
    """Return the sentence about a failure whose cause the hub tells, or whose cause is the way to it; else None."""
    from huggingface_hub import errors, is_offline_mode

    where, page = source.location, f"https://huggingface.co/{source.location}"
    kinds = tuple({type(exc) for exc in chain_of(failure)})

    def due_to(*types: type[BaseException]) -> bool:
        return any(issubclass(kind, types) for kind in kinds)

    if due_to(errors.GatedRepoError):
        return f"{where} is gated: accept its terms on {page} and set HF_TOKEN"
    if due_to(errors.RepositoryNotFoundError):
        return f"{where} is not on the hub, or is private: check the name, or set HF_TOKEN"
    if due_to(errors.RevisionNotFoundError):
        return f"{where} has no revision {source.revision}: copy a commit hash from {page}/commits"
    if not is_offline_mode() and (fault := proxy_fault()):
        return f"{where} cannot be fetched from the hub: {fault}"
    if due_to(errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled):
        offline = " (HF_HUB_OFFLINE is set)" if is_offline_mode() else ""
        return (
            f"{where} is not in the local cache and the hub cannot be reached{offline}: "
            f"run `hf download {where} --revision {source.revision}` once where it can"
        )
    return None


def hub_failure(source: Source, failure: BaseException) -> str:
    """Return the sentence about a download that failed for a reason that only the library understands."""
    return (
        f"{source.location} cannot be fetched from the hub: {said_by(failure)}; start the worker again when that is "
        f"mended, or run `hf download {source.location} --revision {source.revision}` where it can be fetched"
    )


def said_by(failure: BaseException) -> str:
    """Return the kind of a failure and the first sentence of its library, without the advice to programmers."""
    sentence, *_ = re.split(r"\.(?:\s|$)", first_line(failure), maxsplit=1)
    return f"{type(failure).__name__}: {sentence}"


def chain_of(exc: BaseException | None) -> Iterator[BaseException]:
    """Yield the failure and its causes: a library tries the cache when the hub fails, and raises both."""
    if exc is not None:
        yield exc
        yield from chain_of(exc.__cause__)
        if exc.__context__ is not exc.__cause__:
            yield from chain_of(exc.__context__)
