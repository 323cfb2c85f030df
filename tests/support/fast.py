"""`pytest --fast` runs the tests that start no process and import no model library: `just test-fast`.

A test module is left out, before it is imported, if it or one of its helpers imports a library of SLOW. So the choice
does not depend on where the module lies, and the fast tests run without torch installed.
"""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
PROCESSES: Final = {"multiprocessing", "subprocess"}
MODEL_LIBRARIES: Final = {"diffusers", "torch", "training", "transformers"}
SLOW: Final = PROCESSES | MODEL_LIBRARIES | {"schemathesis"}  # which sends thousands of requests
SLOW_FIXTURES: Final = {"tiny", "txt2img", "tts", "stt", "whisper"}  # load a model for tests that need not import one
OURS: Final = ("tests.", "scripts.")
SERVERS: Final = "tests.support.servers.stack"  # only tests with the marker `services` start these


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fast", action="store_true", help="run only tests that start no process and import no torch")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    slow = config.getoption("fast") and collection_path.suffix == ".py" and SLOW & imports_of(collection_path)
    return True if slow else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("fast"):
        slow = [item for item in items if SLOW_FIXTURES & set(getattr(item, "fixturenames", ()))]
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if item not in slow]


def imports_of(file: Path) -> set[str]:
    """Return the libraries that a file imports, also inside functions, and those that its helpers import."""
    found, seen, left = set[str](), set[Path](), [file]
    while left:
        current = left.pop()
        seen.add(current)
        for name in _names(current):
            module = ROOT.joinpath(*name.split(".")).with_suffix(".py")
            if not name.startswith(OURS):
                found.add(name.partition(".")[0])
            elif name != SERVERS and module.is_file() and module not in seen:
                left.append(module)
    return found


@cache
def _names(file: Path) -> frozenset[str]:
    """Return the dotted names that a file imports; `from package import name` gives `package` and `package.name`."""
    return frozenset(_imported(ast.parse(file.read_text(encoding="utf-8"))))


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Attribute) and node.attr.startswith("create_subprocess_"):
            yield "subprocess"  # asyncio's way to start one
