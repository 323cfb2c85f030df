"""The warnings of a job whose outputs are not all that was asked for, and its failure without any."""

from collections.abc import Iterator, Sequence
from typing import Final

from services.common.errors import Filtered
from services.common.job_warnings import OUTPUTS_FILTERED, SIZE_CHANGED
from services.common.modalities.modality import Modality
from services.common.schemas import Artifact, JobWarning
from services.inference.job.outcomes import failed
from services.inference.runtime.adapter import Item

FILTERED: Final = failed(
    Filtered.code,
    "the model's safety checker withheld all that it made: ask in other words, or for another seed",
    retryable=Filtered.retryable,
)


def losses_of(items: Sequence[Item], artifacts: Sequence[Artifact], contract: Modality) -> Iterator[JobWarning]:
    """Yield a warning for items without an artifact, which were filtered, and one for artifacts of another size."""
    kept = {artifact.index: artifact for artifact in artifacts}
    missing = [item for item in items if item.index not in kept]
    if missing:
        which = " and ".join(f"number {item.index + 1} (seed {item.seed})" for item in missing)
        message = (
            f"the model's safety checker withheld {len(missing)} of {len(items)}, {which}: "
            "ask for other seeds, or in other words"
        )
        yield JobWarning(code=OUTPUTS_FILTERED, message=message)
    sizes = (contract.size(item.params.model_dump()) for item in items)
    asked = {_side_by_side(*size) for size in sizes if size}
    made = {_side_by_side(each.width, each.height) for each in artifacts if each.width and each.height}
    if asked and made and asked != made:
        message = f"asked for {', '.join(sorted(asked))} pixels, the model made {', '.join(sorted(made))}"
        yield JobWarning(code=SIZE_CHANGED, message=message)


def _side_by_side(width: int, height: int) -> str:
    return f"{width} x {height}"
