"""Computes a loss and its gradient. On a GPU both are recorded once and replayed afterwards."""

from collections.abc import Callable

import torch
from torch import nn

from training.loop import device

_WARM_UPS = 3  # CUDA's graphs need calls that settle the allocations and the choice of kernels


class Gradient:
    """Calls `loss_of` and leaves its gradient in the parameters of `module`.

    A kernel of a network this small ends before the CPU has launched the next one, so a replayed step is several times
    as fast. The recording is fixed: every call must pass tensors of the same shapes, and only these may change.
    """

    def __init__(self, module: nn.Module, loss_of: Callable[..., torch.Tensor]) -> None:
        self._module = module
        self._loss_of = loss_of
        self._calls = 0
        self._graph: torch.cuda.CUDAGraph | None = None
        self._inputs: list[torch.Tensor] = []
        self._loss = torch.zeros(())

    def __call__(self, *inputs: torch.Tensor) -> torch.Tensor:
        """Return the loss, on the device; reading it waits for all earlier work."""
        self._calls += 1
        if device().type == "cpu":
            return self._compute(*inputs)
        if self._calls <= _WARM_UPS:
            return self._compute_aside(*inputs)
        if self._graph is None:
            self._record(*inputs)
        for kept, fresh in zip(self._inputs, inputs, strict=True):
            kept.copy_(fresh)
        self._graph.replay()  # type: ignore[union-attr]
        return self._loss.clone()

    def _compute(self, *inputs: torch.Tensor) -> torch.Tensor:
        self._module.zero_grad(set_to_none=True)
        loss = self._loss_of(*inputs)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def _compute_aside(self, *inputs: torch.Tensor) -> torch.Tensor:
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            loss = self._compute(*inputs)
        torch.cuda.current_stream().wait_stream(stream)
        return loss

    def _record(self, *inputs: torch.Tensor) -> None:
        self._inputs = [each.clone() for each in inputs]
        self._module.zero_grad(set_to_none=True)  # replays then write gradients instead of adding to them
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._loss = self._compute(*self._inputs)
