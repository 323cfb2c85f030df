"""The modalities that there are: those of this project, and those that other packages add.

An entry point of the group `studio.modalities` is a `Modality`, under its own name.
"""

from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import Final

from services.common.modalities.images import IMG2IMG, TXT2IMG
from services.common.modalities.modality import Cost, Modality
from services.common.modalities.speech import STT, TTS
from services.common.schemas import JobMessage

GROUP: Final = "studio.modalities"
_OURS: Final = (TXT2IMG, IMG2IMG, TTS, STT)


@cache
def modalities() -> Mapping[str, Modality]:
    """Return the modalities by name. Raise TypeError for an entry point that is none, or has another one's name."""
    known: dict[str, Modality] = {modality.name: modality for modality in _OURS}
    for point in entry_points(group=GROUP):
        added = point.load()
        if not isinstance(added, Modality) or added.name != point.name or point.name in known:
            raise TypeError(
                f"the entry point {point.name} of {GROUP} must be a Modality of this name, and the only one"
            )
        known[point.name] = added
    return MappingProxyType(known)


def find_modality(name: str) -> Modality:
    """Return the modality of this name. Raise KeyError for one that this version does not know."""
    return modalities()[name]


def cost_of(message: JobMessage) -> Cost:
    """Return the work in one item of the job; any job of an unknown modality counts as the same."""
    known = modalities().get(message.modality)
    return known.cost(message.params, message.inputs) if known else Cost(message.modality)


def count_of(message: JobMessage) -> int:
    """Return how many items the job asks for; one for an unknown modality."""
    known = modalities().get(message.modality)
    return known.count(message.params) if known else 1
