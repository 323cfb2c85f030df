"""Saves images side by side in one file."""

from pathlib import Path

import torch
from PIL import Image


def save_grid(file: Path, images: torch.Tensor, columns: int) -> None:
    """Save `images`, batch x 3 x height x width in -1..1, row by row in `columns` columns."""
    tiles = ((images.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).cpu()
    rows = [torch.cat(list(row), dim=2) for row in torch.split(tiles, columns) if len(row) == columns]
    Image.fromarray(torch.cat(rows, dim=1).permute(1, 2, 0).numpy()).save(file)
