"""The environment that OpenMP reads when torch is loaded."""

import os

import pytest

from services.inference.diffusers.openmp import SPINS, spin_briefly


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, SPINS), ({"GOMP_SPINCOUNT": "1000"}, "1000"), ({"OMP_WAIT_POLICY": "PASSIVE"}, None)],
)
def test_spins(monkeypatch: pytest.MonkeyPatch, given: dict[str, str], expected: str | None) -> None:
    """Threads spin briefly, unless the operator's environment says how they wait."""
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.setenv(name, "")  # so that the variable is restored afterwards
        monkeypatch.delenv(name)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    spin_briefly()
    assert os.environ.get("GOMP_SPINCOUNT") == expected
