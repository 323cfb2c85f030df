"""The loop all three trainings share: resumable, with a bar, a checkpoint every few minutes and a picture at each."""

import csv
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class Stateful(Protocol):
    """What torch's modules and optimisers have in common, and `Ema` has too."""

    def state_dict(self) -> Any: ...

    def load_state_dict(self, state: Any, /) -> Any: ...


class Loop:
    """`parts` are what a checkpoint holds. A finished loop that is run again loads its last checkpoint and returns."""

    def __init__(self, name: str, folder: Path, parts: Mapping[str, Stateful], save_seconds: float) -> None:
        self.name = name
        self._checkpoint = folder / f"{name}.pt"
        self._losses = folder / f"{name}.csv"
        self._parts = parts
        self._save_seconds = save_seconds

    def run(self, steps: int, step: Callable[[int], float], show: Callable[[int], None]) -> None:
        """Call `step` with each number once; it returns its loss. `show` draws how far things are."""
        start = self._resume()
        recent = 0.0
        with _bar() as bar:
            task = bar.add_task(self.name, total=steps, completed=start, loss="")
            saved = time.monotonic()
            for number in range(start, steps):
                loss = step(number)
                if not math.isfinite(loss):
                    raise FloatingPointError(f"{self.name}: the loss of step {number} is {loss}")
                recent = loss if number == start else 0.98 * recent + 0.02 * loss
                bar.update(task, advance=1, loss=f"loss {recent:.4f}")
                if time.monotonic() - saved > self._save_seconds or number + 1 == steps:
                    self._save(number + 1, recent)
                    show(number + 1)
                    saved = time.monotonic()

    def _resume(self) -> int:
        if not self._checkpoint.exists():
            return 0
        state = torch.load(self._checkpoint, weights_only=True, map_location="cpu")
        for name, part in self._parts.items():
            part.load_state_dict(state[name])
        return int(state["step"])

    def _save(self, step: int, loss: float) -> None:
        fresh = self._checkpoint.with_suffix(".tmp")
        torch.save({"step": step, **{name: part.state_dict() for name, part in self._parts.items()}}, fresh)
        fresh.replace(self._checkpoint)
        with self._losses.open("a", newline="") as file:
            csv.writer(file).writerow([step, f"{loss:.5f}"])


class Ema:
    """The running mean of a module's weights, which is what is kept in the end."""

    def __init__(self, module: torch.nn.Module, decay: float) -> None:
        self._decay = decay
        self._module = module
        self._mean = {name: value.detach().clone() for name, value in module.state_dict().items()}

    def update(self, step: int) -> None:
        decay = min(self._decay, (1 + step) / (10 + step))  # the first weights are no good to remember
        with torch.no_grad():
            for name, value in self._module.state_dict().items():
                mean = self._mean[name]
                if mean.dtype.is_floating_point:
                    mean.lerp_(value, 1 - decay)
                else:
                    mean.copy_(value)

    def state_dict(self) -> Mapping[str, Any]:
        return self._mean

    def load_state_dict(self, state: Mapping[str, Any], /) -> None:
        for name, mean in self._mean.items():
            mean.copy_(state[name])


def rate_at(step: int, steps: int, highest: float) -> float:
    """The learning rate: up in a thirtieth of the steps, then down along a cosine to a fiftieth of `highest`."""
    warm = max(1, steps // 30)
    if step < warm:
        return highest * (step + 1) / warm
    share = (step - warm) / max(1, steps - warm)
    return highest * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * share)))


def descend(optimiser: torch.optim.Optimizer, loss: torch.Tensor, rate: float) -> float:
    """One step downhill, the gradient clipped. Returns the loss."""
    for group in optimiser.param_groups:
        group["lr"] = rate
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_([value for group in optimiser.param_groups for value in group["params"]], 1.0)
    optimiser.step()
    return float(loss.detach())


def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def half_precision() -> torch.autocast:
    return torch.autocast(device().type, torch.bfloat16)


def _bar() -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total} {task.fields[loss]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=Console(stderr=True), refresh_per_second=1)
