"""Keeps docs/benchmarks.md: one section a benchmark, written anew when it is measured, and a plot of the chart."""

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
    """Put the section `name` into the report; `about` is the docstring of the benchmark.

    A section is named for its benchmark, or begins with that name: then it first comes right behind the other.
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
    picture = ""
    if name == "chart":
        _plot([figure for figure in figures if figure.unit == "images/s"], DOCS / "img" / "benchmarks.png")
        picture = "\n![Images a second, ten requests at once](img/benchmarks.png)\n"
    rows = "".join(_row(figure) for figure in figures)
    return (
        f"## {name}\n\n{about.strip()}\n\nMeasured on {figures[0].machine}.\n{picture}\n"
        f"| Figure | Value | Goal | n | Spread |\n|---|---|---|---|---|\n{rows}"
    )


def _row(figure: Figure) -> str:
    goal = f"{figure.goal}, {'met' if figure.ok else '**missed**'}" if figure.goal else ""
    return f"| {figure.name} | {figure.value:g} {figure.unit} | {goal} | {figure.n} | {figure.spread:g} |\n"


def _plot(bars: Sequence[Figure], file: Path) -> None:
    """Medians as bars, interquartile ranges as lines."""
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
