"""The promises of the layout: no model library in the gateway, one-way imports, small files."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = {"torch", "diffusers", "transformers", "numpy"}

IMPORT_ALL = """
import importlib, pkgutil, sys
for name in sys.argv[1:]:
    module = importlib.import_module(name)
    for found in pkgutil.walk_packages(getattr(module, "__path__", []), name + "."):
        importlib.import_module(found.name)
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


@pytest.mark.parametrize(
    "names",
    [["services.api"], ["services.cli"], ["services.common"], ["services.inference"]],
    ids=lambda names: str(names[0]),
)
def test_importing_is_light(names: list[str]) -> None:
    """Importing any module of ours imports no model library: the gateway is installed without them."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, *names], capture_output=True, text=True, check=True, timeout=60
    )
    imported = set(done.stdout.split())
    assert "services" in imported
    assert imported & HEAVY == set()


def test_imports_point_one_way() -> None:
    """`__main__`, then cli, then api or inference, then common: the contract in pyproject.toml is kept."""
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout


def test_files_are_small() -> None:
    """No file of ours is longer than can be taken in at once."""
    long = {
        str(file.relative_to(ROOT)): lines
        for file in (ROOT / "services").rglob("*.py")
        if (lines := len(file.read_text(encoding="utf-8").splitlines())) > 220
    }
    assert long == {}


# Only a modality, and an adapter of it, knows what its parameters are; every job has a seed.
PARAMETERS = re.compile(r"isinstance\([\w.]*params\b|getattr\([\w.]*params\b|\bparams\.get\((?![\"']seed)|\bparams\[\"")
KNOW_THEM = ("services/common/modalities/", "services/inference/adapters/", "services/inference/diffusers/")


def test_only_modalities_look_into_parameters() -> None:
    """No module outside of modalities and adapters asks for a parameter by its name or for a class of parameters."""
    found = [
        f"{file.relative_to(ROOT)}:{number}"
        for pattern in ("services/**/*.py", "web/templates/*.html")
        for file in ROOT.glob(pattern)
        if not str(file.relative_to(ROOT)).startswith(KNOW_THEM)
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        if PARAMETERS.search(line)
    ]
    assert found == []
