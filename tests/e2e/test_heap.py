"""The garbage collector skips the objects that were loaded at the start."""

from pathlib import Path

import pytest

from tests.support.system import running_system

LOADED_OBJECTS = 50_000  # fewer than the libraries of a gateway alone create


@pytest.mark.parametrize("command", [("api",), ("worker",), ()], ids=["api", "worker", "studio"])
def test_loaded_objects_are_frozen(tmp_path: Path, command: tuple[str, ...]) -> None:
    """A ready service has frozen the objects it loaded, so that no collection spends time on them."""
    with running_system(tmp_path, {}) as system:
        system.program = ("tests.support.frozen_heap",)
        system.start(*command)
        assert int(system.wait_for_log(r"frozen: (\d+)")[1]) > LOADED_OBJECTS
