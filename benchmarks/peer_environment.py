"""Creates a virtual environment for each peer, with its requirements."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.support.system import ROOT

_SERVERS: Final = Path(__file__).with_name("peer_servers")


def make_environment(name: str) -> str:
    """Return the Python of the peer's virtual environment, after creating or updating the environment.

    Where nothing can be installed, PEERS_PYTHON names a Python with the requirements of all peers.
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
        pinned.write_text("\n".join(_pipeline_pins()))
        install = ("install", "-qq", "--requirement", str(files[0]), "--constraint", str(pinned))
        _run_aside(str(python), "-m", "pip", *install)
        stamp.write_text(wanted)
    return str(python)


def _run_aside(*command: str) -> None:
    subprocess.run(command, check=True, stdout=sys.stderr)  # standard output is for figures


def _pipeline_pins() -> list[str]:
    names = (_SERVERS / "pictures.txt").read_text().splitlines()
    return [pin for pin in (ROOT / "constraints.txt").read_text().splitlines() if pin.partition("==")[0] in names]
