"""The memory that models may use where no limit is set."""

import os
import resource
from pathlib import Path

import pytest

from services.inference.runtime.memory import usable_bytes, usual_limit
from tests.inference.worker.test_cores import GROUP, V2, machine

V1 = "36 30 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory"
WHOLE = os.sysconf("SC_PHYS_PAGES") * resource.getpagesize()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("536870912\n", 2**29),
        ("max\n", WHOLE),
        ("", WHOLE),
        ("-1\n", WHOLE),
        ("0\n", WHOLE),
        ("lots\n", WHOLE),
        ("9223372036854771712\n", WHOLE),
        ("9" * 5000, WHOLE),
    ],
)
@pytest.mark.parametrize("version", [1, 2])
def test_memory_of_a_container(tmp_path: Path, text: str, found: int, version: int) -> None:
    """A container has what it is allowed, by either version of control groups, and without a limit the machine's."""
    if version == 2:
        root = machine(tmp_path, "0::/\n", V2, {f"{GROUP}/memory.max": text})
    else:
        root = machine(tmp_path, "9:memory:/\n", V1, {f"{GROUP}/memory/memory.limit_in_bytes": text})
    assert usable_bytes(root) == found


def test_memory_of_a_group_around(tmp_path: Path) -> None:
    """The least of the limits counts, also that of a group around the process's own."""
    files = {f"{GROUP}/pod/worker/memory.max": "max\n", f"{GROUP}/pod/memory.max": "1000000\n"}
    assert usable_bytes(machine(tmp_path, "0::/pod/worker\n", V2, files)) == 1_000_000


def test_machine_without_control_groups(tmp_path: Path) -> None:
    """Where there are none, models have half of the machine's memory."""
    assert usable_bytes(tmp_path) == WHOLE
    assert 0 < usual_limit() <= WHOLE // 2
