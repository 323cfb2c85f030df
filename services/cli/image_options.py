"""The options of `studio generate` that describe its images."""

import re

import typer


def sides_of(size: str | None) -> dict[str, int]:
    """Return `width` and `height` in pixels of a size as people type it, nothing for None.

    Raises typer.BadParameter.
    """
    if size is None:
        return {}
    found = re.fullmatch(r"([0-9]+)x([0-9]+)", size.lower())
    if found is None:
        raise typer.BadParameter(f"WIDTHxHEIGHT in pixels, for example 256x256, not {size!r}", param_hint="--size")
    return {"width": int(found[1]), "height": int(found[2])}
