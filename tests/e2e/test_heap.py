"""What the garbage collector need not look through."""

import re
import time
from pathlib import Path

import pytest

from tests.support.system import running_system

LOADED = 50_000  # objects: fewer than the libraries of a gateway alone make


@pytest.mark.parametrize("command", [("api",), ("worker",), ()], ids=["api", "worker", "studio"])
def test_loaded_is_left_alone(tmp_path: Path, command: tuple[str, ...]) -> None:
    """A service that is ready has no collection look again through all that was loaded, which would take a while."""
    with running_system(tmp_path, {}) as system:
        system.program = ("tests.support.frozen_heap",)
        system.start(*command)
        deadline = time.monotonic() + 60
        while not (told := re.search(r"left alone: (\d+)", system.log())):
            assert time.monotonic() < deadline, system.log()
            time.sleep(0.05)
        assert int(told[1]) > LOADED
