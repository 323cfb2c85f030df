"""Updates docs/benchmarks.md: one section a benchmark, rewritten after each measurement, and the plot of `chart`."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.figure import Figure

DOCS: Final = Path(__file__).resolve().parents[1] / "docs"
_HEAD: Final = """# Benchmarks

Written by `just bench`. How to run them and how to read the figures: [benchmarks/README.md](../benchmarks/README.md).
"""


def write_report(name: str, about: str, figures: Sequence[Figure]) -> None:
    """Write the section `name` of the report; `about` is the docstring of the benchmark.

    The name of a section is that of its benchmark or begins with it; in that case a new section follows the other.
    """
    file = DOCS / "benchmarks.md"
    text = file.read_text() if file.exists() else _HEAD
    start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->\n"
    section = start + _section(name, about, figures) + end
    if start in text:
        before, _, rest = text.partition(start)
        text = before + section + rest.partition(end)[2]
    else:
        end_of_benchmark = f"<!-- /{name.partition(' ')[0]} -->\n"
        before, found, rest = text.partition(end_of_benchmark)
        text = f"{before}{found}\n{section}{rest}"
    file.write_text(text)


def _section(name: str, about: str, figures: Sequence[Figure]) -> str:
    image = ""
    if name == "chart":
        _plot([figure for figure in figures if figure.unit == "images/s"], DOCS / "img" / "benchmarks.png")
        image = "\n![Images a second, ten requests at once](img/benchmarks.png)\n"
    rows = "".join(_row(figure) for figure in figures)
    return (
        f"## {name}\n\n{about.strip()}\n\nMeasured on {figures[0].machine}.\n{image}\n"
        f"| Figure | Value | Goal | n | Spread |\n|---|---|---|---|---|\n{rows}"
    )


def _row(figure: Figure) -> str:
    goal = f"{figure.goal}, {'met' if figure.ok else '**missed**'}" if figure.goal else ""
    return f"| {figure.name} | {figure.value:g} {figure.unit} | {goal} | {figure.n} | {figure.spread:g} |\n"


def _plot(bars: Sequence[Figure], file: Path) -> None:
    """Draw medians as bars and interquartile ranges as lines."""
    from matplotlib.figure import Figure as Canvas

    canvas = Canvas(figsize=(6, 2.4), layout="constrained")
    axes = canvas.subplots()
    names = [re.sub(r"^chart\.| \(.*", "", bar.name) for bar in bars]
    colours = ["#8a8f98"] * (len(bars) - 1) + ["#2f6fed"]
    drawn = axes.barh(names, [bar.value for bar in bars], xerr=[bar.spread / 2 for bar in bars], color=colours)
    axes.bar_label(drawn, fmt="%.2f", padding=4)
    axes.invert_yaxis()
    axes.margins(x=0.15)
    axes.set_xlabel("images a second, ten requests at once")
    axes.spines[["top", "right"]].set_visible(False)
    canvas.savefig(file, dpi=150)
