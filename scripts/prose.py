"""Checks the rules of the section "English" in CONTRIBUTING.md that a program can count.

Fewer than 2 % of all docstrings may open with a relative clause or a fragment, and neither the services nor the
documentation may have a banned word. `--report` prints what was found and passes.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
CODE: Final = ("services", "scripts", "benchmarks", "tests", "training")
PROSE: Final = ("services/**/*.py", "services/**/*.md", "docs/**/*.md", "README.md")
OPENINGS: Final = frozenset({"who", "what", "whose", "whoever", "whether", "none", "of", "those"})
LIMIT: Final = 0.02
BANNED: Final = re.compile(r"\b(?:(?:no|some|any|every)body|who(?:so)?ever|bef[ae]ll\w*|heed\w*)\b", re.IGNORECASE)


def main(root: Path = ROOT, *, report: bool = False) -> int:
    first_words = [found for folder in CODE for file in _files(root, f"{folder}/**/*.py") for found in _openings(file)]
    fragments = [(place, f"opens with {word}") for place, word in first_words if word.lower() in OPENINGS]
    banned = [found for pattern in PROSE for file in _files(root, pattern) for found in _banned(file)]
    for (file, line), fault in fragments + banned:
        print(f"{file.relative_to(root)}:{line}: {fault}")
    share = len(fragments) / max(1, len(first_words))
    print(f"{len(fragments)} of {len(first_words)} docstrings ({share:.1%}) open with a fragment")
    print(f"{len(banned)} banned words")
    return int(not report and (share >= LIMIT or bool(banned)))


def _files(root: Path, pattern: str) -> list[Path]:
    return sorted(root.glob(pattern))


def _openings(file: Path) -> Iterator[tuple[tuple[Path, int], str]]:
    """Yield the first word of every docstring after its place."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                yield (file, node.body[0].lineno), re.split(r"[^A-Za-z]", text, maxsplit=1)[0]


def _banned(file: Path) -> Iterator[tuple[tuple[Path, int], str]]:
    """Yield every banned word after its place."""
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        for word in BANNED.findall(line):
            yield (file, number), word


if __name__ == "__main__":
    sys.exit(main(report="--report" in sys.argv[1:]))
