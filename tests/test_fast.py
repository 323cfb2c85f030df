"""The choice of the tests for `just test-fast`."""

from pathlib import Path

import pytest

from tests.support.fast import MODEL_LIBRARIES, PROCESSES, SLOW, imports_of


@pytest.mark.parametrize(
    ("source", "slow"),
    [
        ("import subprocess", PROCESSES),
        ("async def test_it():\n    await asyncio.create_subprocess_exec('true')", PROCESSES),
        ("from tests.support.system import System", PROCESSES),
        ("from scripts import k8s", PROCESSES),
        ("def test_it():\n    from torch.nn import Linear", MODEL_LIBRARIES),
    ],
)
def test_slow_module(tmp_path: Path, source: str, slow: set[str]) -> None:
    """A module that can start a process or import a model library is slow, also by a helper or inside a function."""
    file = tmp_path / "test_it.py"
    file.write_text(source)
    assert imports_of(file) & slow


def test_fast_module(tmp_path: Path) -> None:
    """A module with the gateway, the fakes and the servers of other tests is fast."""
    file = tmp_path / "test_it.py"
    file.write_text("from services.api.app import create_app\nfrom tests import fakes\nfrom tests.stack import Stack")
    assert not imports_of(file) & SLOW
