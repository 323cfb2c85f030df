"""Draws the loss curves of a training as one image, for the model card."""

import csv
from pathlib import Path
from typing import Final

STAGES: Final = ("autoencoder", "text-encoder", "unet", "decoder")


def save_curves(folder: Path, file: Path) -> None:
    """Draw the losses that the loops in `folder` have written."""
    from matplotlib.figure import Figure  # without pyplot: no window system, no global state

    figure = Figure(figsize=(11, 2.8), layout="constrained")
    for axes, stage in zip(figure.subplots(1, len(STAGES)), STAGES, strict=True):
        with (folder / f"{stage}.csv").open(newline="") as rows:
            points = [(int(step), float(loss)) for step, loss in csv.reader(rows)]
        axes.plot(*zip(*points, strict=True), marker=".")
        axes.set(title=stage, xlabel="step", ylabel="loss", yscale="log")
    figure.savefig(file, dpi=110)
