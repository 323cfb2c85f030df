"""The names of inputs in the object store; `store` says what is at each."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from services.common.ids import is_job_id

ROOT: Final = "inputs/"
FILE: Final = re.compile(r"inputs/[0-9a-f]{32}/([0-9a-f-]{36})\.[a-z0-9]+")
_BESIDE: Final = re.compile(r"inputs/([0-9a-f-]{36})/(.+)")

HoldKind = Literal["holds", "jobs"]


@dataclass
class InputKeys:
    """All that is stored of one input: the keys of its file, and the ids of jobs that hold it, by the kind of hold."""

    files: list[str] = field(default_factory=list)
    holds: set[str] = field(default_factory=set)
    jobs: set[str] = field(default_factory=set)


def by_id(keys: Iterable[str]) -> Mapping[str, InputKeys]:
    """Sort the keys by the input that they belong to; others' names are passed over."""
    found: dict[str, InputKeys] = defaultdict(InputKeys)
    for key in keys:
        if (match := FILE.fullmatch(key)) and is_job_id(match[1]):
            found[match[1]].files.append(key)
        elif (match := _BESIDE.fullmatch(key)) and is_job_id(match[1]):
            kind, _, job_id = match[2].partition("/")
            held_by = {"holds": found[match[1]].holds, "jobs": found[match[1]].jobs}.get(kind)
            if held_by is not None and is_job_id(job_id):
                held_by.add(job_id)
    return found


def file_key(owner: str | None, input_id: str, extension: str) -> str:
    """Return the key of an input's file."""
    return f"{ROOT}{owner_digest(owner)}/{input_id}.{extension}"


def owner_digest(owner: str | None) -> str:
    """Return the folder of the owner's files: a name that any object store takes, and that tells nothing."""
    return hashlib.sha256((owner or "").encode()).hexdigest()[:32]


def folder(input_id: str) -> str:
    """Return the folder of all that there is of an input but its file."""
    return f"{ROOT}{input_id}"


def record_key(input_id: str) -> str:
    return f"{folder(input_id)}/input.json"


def hold_key(input_id: str, kind: HoldKind, job_id: str) -> str:
    """Return the key of the job's hold on the input; see `store` for the two kinds."""
    return f"{folder(input_id)}/{kind}/{job_id}"
