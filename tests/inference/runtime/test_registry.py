"""How a catalogue's `adapter` becomes a class."""

import pytest

from services.common.errors import ModelUnavailable
from services.inference.adapters.txt2img import Txt2Img
from services.inference.runtime.registry import resolve_adapter


@pytest.mark.parametrize("name", ["txt2img", "services.inference.adapters.txt2img:Txt2Img"])
def test_found(name: str) -> None:
    """An adapter is found by its entry point and by its module and class."""
    assert resolve_adapter(name) is Txt2Img


class Unmarked(Txt2Img):
    source_type = "photograph"


def test_unknown_source_type() -> None:
    """An adapter whose files would be marked by no term of ours is refused, and told which there are."""
    with pytest.raises(ModelUnavailable, match="'photograph'; allowed are: trainedAlgorithmicMedia, "):
        resolve_adapter(f"{__name__}:Unmarked")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("txt2pasta", r"installed are: .*txt2img"),
        ("no.such.module:Class", "No module named"),
        ("json:Nothing", "Nothing"),
        (":", "cannot be imported"),
        ("json:JSONDecoder", "not a subclass of ModelAdapter"),
        ("json:dumps", "not a subclass of ModelAdapter"),
    ],
)
def test_not_found(name: str, hint: str) -> None:
    """A name without an adapter is refused with the known names or the reason."""
    with pytest.raises(ModelUnavailable, match=hint):
        resolve_adapter(name)
