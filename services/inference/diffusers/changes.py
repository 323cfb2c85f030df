"""The list of all that is changed about a diffusers pipeline and about the process it runs in.

A catalogue entry leaves changes out by name: `options = { off = ["kept-memory"] }`. The name `cpu` stands for all that
only save time on a CPU. A change that costs some models time is made only for an entry that asks for it: `on = [...]`.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from services.common.catalogue.adapter_options import ChangeName
from services.common.errors import ModelUnavailable
from services.inference.diffusers.allocator import keep_memory
from services.inference.diffusers.decoder import decode_one_by_one
from services.inference.diffusers.hardware import Hardware
from services.inference.diffusers.rounding import confine_rounding
from services.inference.diffusers.timestep import embed_timestep_once
from services.inference.diffusers.traced_denoiser import trace_denoiser

CPU: Final = "cpu"


@dataclass(frozen=True)
class Change:
    """One change. `cpu`: it does nothing but save time on a CPU. `asked`: it is made for entries that ask for it."""

    name: ChangeName
    reason: str
    apply: Callable[..., object]
    cpu: bool = False
    asked: bool = False


# Applied in the model thread before torch is loaded, without arguments. They hold for the whole process.
PROCESS: Final = (
    Change(
        "kept-memory",
        "glibc keeps the memory of large tensors for the next call, instead of having its pages cleared anew.",
        keep_memory,
        cpu=True,
    ),
)

# Applied to a loaded pipeline in this order. Each is called with the pipeline, its denoiser and the hardware.
PIPELINE: Final = (
    Change(
        "timestep",
        "An image does not depend on its batch (ADR 15). It replaces the denoiser's `get_time_embed`, which the "
        "`forward` of the next two calls.",
        lambda _pipeline, denoiser, _hardware: embed_timestep_once(denoiser),
    ),
    Change(
        "rounding",
        "An image of a batch stays within 2 of 255 of the one drawn alone in half precision (ADR 29). It replaces "
        "`prepare_latents` and the denoiser's `forward`.",
        confine_rounding,
    ),
    Change(
        "traced-denoiser",
        "A step of a small denoiser on a CPU runs without Python (ADR 30); a large one gets slower. It replaces "
        "`forward` once more, so that the casts of `rounding` are part of the program, and the `forward` of the layers "
        "`attn2.to_k` and `attn2.to_v`.",
        lambda _pipeline, denoiser, hardware: trace_denoiser(denoiser, hardware),
        cpu=True,
        asked=True,
    ),
    Change(
        "decoder",
        "An image does not depend on what is decoded beside it. It sets options of the autoencoder alone.",
        lambda pipeline, _denoiser, _hardware: decode_one_by_one(pipeline),
    ),
)


def changes_off(options: Mapping[str, Any]) -> frozenset[str]:
    """Return the names of the changes that a catalogue entry with these `options` goes without.

    Raise ModelUnavailable for a name that no change has.
    """
    changes = (*PROCESS, *PIPELINE)
    off = _names(options, "off", [*(change.name for change in changes), CPU])
    on = _names(options, "on", [change.name for change in changes if change.asked])
    return frozenset(
        change.name
        for change in changes
        if change.name in off or (change.cpu and CPU in off) or (change.asked and change.name not in on)
    )


def _names(options: Mapping[str, Any], option: str, known: Collection[str]) -> list[str]:
    given = options.get(option, [])
    if not isinstance(given, list) or not all(name in known for name in given):
        raise ModelUnavailable(f"the option `{option}` is {given!r}; it takes a list of any of {', '.join(known)}")
    return given


def change_process(off: Collection[str] = ()) -> None:
    """Apply all of PROCESS but those in `off`."""
    for change in PROCESS:
        if change.name not in off:
            change.apply()


def change_pipeline(pipeline: Any, denoiser: Any, hardware: Hardware, off: Collection[str] = ()) -> None:
    """Apply all of PIPELINE but those in `off`."""
    for change in PIPELINE:
        if change.name not in off:
            change.apply(pipeline, denoiser, hardware)
