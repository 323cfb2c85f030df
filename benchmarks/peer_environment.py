"""A virtual environment a peer, with what it requires."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.support.system import ROOT

_SERVERS: Final = Path(__file__).with_name("peer_servers")


def make_environment(name: str) -> str:
    """The Python of the peer's virtual environment, made when it is missing and brought up to its requirements.

    Where nothing can be installed, PEERS_PYTHON names one that has what all of them require.
    """
    if ready := os.environ.get("PEERS_PYTHON"):
        return ready
    folder = ROOT / "build" / "peers" / name
    files = (_SERVERS / f"{name}.txt", _SERVERS / "pictures.txt", ROOT / "constraints.txt")
    wanted = "".join(file.read_text() for file in files)
    stamp, python = folder / "installed.txt", folder / "bin" / "python"
    pinned = folder / "constraints.txt"
    if not stamp.exists() or stamp.read_text() != wanted:
        _run_aside(sys.executable, "-m", "venv", str(folder))
        pinned.write_text("\n".join(_pins_of_what_draws()))
        install = ("install", "-qq", "--requirement", str(files[0]), "--constraint", str(pinned))
        _run_aside(str(python), "-m", "pip", *install)
        stamp.write_text(wanted)
    return str(python)


def _run_aside(*command: str) -> None:
    subprocess.run(command, check=True, stdout=sys.stderr)  # standard output is for figures


def _pins_of_what_draws() -> list[str]:
    names = (_SERVERS / "pictures.txt").read_text().splitlines()
    return [pin for pin in (ROOT / "constraints.txt").read_text().splitlines() if pin.partition("==")[0] in names]
