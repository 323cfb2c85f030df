"""The programs of RabbitMQ and Redis: those of this machine, or those below SERVERS_ROOT, the root of another system.

Another Debian release has other versions of the servers; `tests/containers/debian_root.sh` makes its root.
"""

import os
import shutil
from pathlib import Path
from typing import Final

ROOT: Final = os.environ.get("SERVERS_ROOT", "").rstrip("/")
PATH: Final = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
# The mounts are in a name space of their own and end with the program. Every step is an exec, so that our pid is the
# program's.
ENTER: Final = """
root=$1 folder=$2; shift 2
mkdir -p "$root$folder" && mount --bind "$folder" "$root$folder" && mount -t proc proc "$root/proc" &&
    exec chroot "$root" "$@"
"""


def server_program(names: list[str], install: str, folder: Path) -> list[str]:
    """Return the command, without arguments, that runs the first of these programs that exists.

    Names are absolute or on PATH. A program below SERVERS_ROOT sees `folder` at the same place, and needs root.
    Raises RuntimeError with the command that installs the program.
    """
    if not ROOT:
        return [find_binary(names, install)]
    where = os.pathsep.join(ROOT + part for part in PATH)
    for name in names:
        if found := shutil.which(ROOT + name if name.startswith("/") else name, path=where):
            return ["unshare", "--mount", "sh", "-c", ENTER, "sh", ROOT, str(folder), found.removeprefix(ROOT)]
    raise RuntimeError(f"{names[-1]} is missing in {ROOT}: install it there with `{install}`")


def find_binary(names: list[str], install: str) -> str:
    """Return the first that exists, absolute or on PATH. Raises RuntimeError with the command that installs it."""
    for name in names:
        if found := shutil.which(name):
            return found
    raise RuntimeError(f"{names[-1]} is missing: install it with `{install}`")
