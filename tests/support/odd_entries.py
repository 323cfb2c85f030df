"""Entries that other programs leave in folders: file managers, file servers, backups, mistakes."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final


def _file(name: str | bytes) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        path = os.path.join(os.fsencode(folder), os.fsencode(name))  # noqa: PTH118 - a name that is no text
        os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120
        with open(path, "wb") as file:  # noqa: PTH123
            file.write(b"odd")

    return make


ODD_ENTRIES: Final[dict[str, Callable[[Path], None]]] = {
    "finder": _file(".DS_Store"),
    "nfs": _file(".nfs0001"),
    "macos": _file("._manifest.json"),
    "windows": _file("Thumbs.db"),
    "synology": _file("@eaDir/photo.png/SYNOFILE_THUMB.jpg"),
    "editor": _file("manifest.json~"),
    "line-break": _file("Icon\r"),
    "no-text": _file(b"caf\xe9.png"),
    "plain-file": _file("desktop.ini"),
    "plain-folder": _file("copy/of/manifest.json"),
    "empty-folder": lambda folder: (folder / ".Trash-0").mkdir(parents=True),
    "pipe": lambda folder: os.mkfifo(folder / "pipe.png"),
    "link-to-nothing": lambda folder: (folder / "photo.png").symlink_to("/nowhere/at/all"),
    "link-to-itself": lambda folder: (folder / "loop.png").symlink_to("loop.png"),
    "link-to-folder": lambda folder: (folder / "linked").symlink_to(folder.parent),
}
