"""The check of the project's English, on a checkout of a few lines."""

from pathlib import Path

import pytest

from scripts import prose


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with a hundred docstrings, all of them good."""
    for folder in ("services", "docs"):
        (tmp_path / folder).mkdir()
    functions = (f'def f{number}() -> None:\n    """Return it."""\n' for number in range(99))
    (tmp_path / "services" / "good.py").write_text('"""A module."""\n' + "".join(functions))
    return tmp_path


def test_good_prose(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without findings the check passes and says how much it read."""
    assert prose.main(checkout) == 0
    assert capsys.readouterr().out == "0 of 100 docstrings (0.0%) open with a fragment\n0 banned words\n"


@pytest.mark.parametrize(("fragments", "code"), [(2, 0), (3, 1)])
def test_fragments(checkout: Path, capsys: pytest.CaptureFixture[str], fragments: int, code: int) -> None:
    """Docstrings that open with a fragment are named, and fail the check from a share of 2 % on."""
    bad = (
        f'class C{number}:\n    async def f(self) -> None:\n        """What it is."""\n' for number in range(fragments)
    )
    (checkout / "services" / "bad.py").write_text("".join(bad))
    assert prose.main(checkout) == code
    assert "services/bad.py:3: opens with What\n" in capsys.readouterr().out


@pytest.mark.parametrize("file", ["services/bad.py", "docs/bad.md", "README.md"])
def test_banned_words(checkout: Path, capsys: pytest.CaptureFixture[str], file: str) -> None:
    """One banned word in the services or the documentation fails the check, except where only a report is asked for."""
    (checkout / file).write_text("# A line\n# Nobody knows.\n")
    assert (prose.main(checkout), prose.main(checkout, report=True)) == (1, 0)
    assert f"{file}:2: Nobody\n" in capsys.readouterr().out
