"""Half precision inside the denoiser, where the time goes, and single precision around it.

Matrix products of another size are summed in another order, so the format of a product decides how far the images of a
batch are from those drawn alone: see docs/adr/0029-half-precision-inside-the-denoiser.md.
"""

import inspect
from typing import Any, Final

from services.inference.diffusers.hardware import Hardware

# Names of the denoiser's latent argument (a UNet's, a transformer's) and of the guidance embedding of distilled UNets.
# Pipelines make all of them in the format of the latents.
_LATENTS: Final = ("sample", "hidden_states", "timestep_cond")


def confine_rounding(pipeline: Any, denoiser: Any, hardware: Hardware) -> None:
    """Confine half precision to `denoiser`: latents, guidance and the scheduler's sums stay in single precision.

    The denoiser's result is not rounded again, because guidance would triple the error.
    """
    import torch

    if hardware.compute == torch.float32:
        return
    forward, mixed = denoiser.forward, hardware.dtype != hardware.compute
    if hasattr(pipeline, "prepare_latents"):  # some that calculate in pixels have none
        _keep_latents_exact(pipeline)
    if mixed:
        _round_weights(denoiser, hardware.compute)

    def rounding_inside(*arguments: Any, **options: Any) -> tuple[Any, ...]:
        arguments = (*(each.to(hardware.dtype) for each in arguments[:1]), *arguments[1:])
        for name in _LATENTS:
            if options.get(name) is not None:
                options[name] = options[name].to(hardware.dtype)
        with torch.autocast(hardware.device.type, hardware.compute, enabled=mixed):
            found = forward(*arguments, **{**options, "return_dict": False})
        return tuple(value.float() for value in found)

    denoiser.forward = rounding_inside


def _round_weights(denoiser: Any, dtype: Any) -> None:
    """Round the weights of linear and convolutional layers once.

    Autocast would round them again in every step, to the same bits.
    """
    from torch import nn

    for layer in denoiser.modules():
        if isinstance(layer, (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)):
            layer.to(dtype)


def _keep_latents_exact(pipeline: Any) -> None:
    """Make the latents in single precision. A pipeline would make them in the format of the embedded prompts."""
    import torch

    prepare = pipeline.prepare_latents
    signature = inspect.signature(prepare)

    def prepare_exact(*arguments: Any, **options: Any) -> Any:
        given = signature.bind(*arguments, **options)
        given.arguments["dtype"] = torch.float32
        return prepare(*given.args, **given.kwargs)

    pipeline.prepare_latents = prepare_exact
