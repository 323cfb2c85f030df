"""The loop of every training: resumable, with a progress bar, and a checkpoint and an image every few minutes."""

import csv
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch.optim.swa_utils import get_ema_multi_avg_fn

_READINGS = 200  # of the loss: each makes the CPU wait for the GPU


class Stateful(Protocol):
    """The state of torch's modules, its optimisers and `Ema`."""

    def state_dict(self) -> Any: ...

    def load_state_dict(self, state: Any, /) -> Any: ...


class Loop:
    """`parts` is the content of a checkpoint. A finished loop that runs again loads its last checkpoint and returns."""

    def __init__(self, name: str, folder: Path, parts: Mapping[str, Stateful], save_seconds: float) -> None:
        self.name = name
        self._checkpoint = folder / f"{name}.pt"
        self._losses = folder / f"{name}.csv"
        self._parts = parts
        self._save_seconds = save_seconds
        self._unsaved: list[tuple[int, float]] = []  # losses since the last checkpoint

    def run(self, steps: int, step: Callable[[int], torch.Tensor], show: Callable[[int], None]) -> None:
        """Call `step` once with each number; it returns its loss. `show` saves an image of the progress.

        Raises FloatingPointError when the loss is no longer finite.
        """
        start = self._resume()
        recent = torch.zeros(())
        every = max(1, steps // _READINGS)
        with _bar() as bar:
            task = bar.add_task(self.name, total=steps, completed=start, loss="")
            saved = time.monotonic()
            for number in range(start, steps):
                loss = step(number)
                recent = loss if number == start else torch.lerp(recent, loss, 0.02)
                bar.advance(task)
                due = time.monotonic() - saved > self._save_seconds or number + 1 == steps
                if due or number % every == 0:
                    bar.update(task, loss=f"loss {self._read(recent, number + 1):.4f}")
                if due:
                    self._save(number + 1)
                    show(number + 1)
                    saved = time.monotonic()

    def _read(self, loss: torch.Tensor, step: int) -> float:
        value = float(loss)
        if not math.isfinite(value):
            raise FloatingPointError(f"{self.name}: by step {step} the loss is {value}")
        self._unsaved.append((step, value))
        return value

    def _resume(self) -> int:
        if not self._checkpoint.exists():
            return 0
        state = torch.load(self._checkpoint, weights_only=True, map_location="cpu")
        for name, part in self._parts.items():
            part.load_state_dict(state[name])
        return int(state["step"])

    def _save(self, step: int) -> None:
        fresh = self._checkpoint.with_suffix(".tmp")
        torch.save({"step": step, **{name: part.state_dict() for name, part in self._parts.items()}}, fresh)
        fresh.replace(self._checkpoint)
        with self._losses.open("a", newline="") as file:
            csv.writer(file).writerows([number, f"{loss:.5f}"] for number, loss in self._unsaved)
        self._unsaved.clear()


class Ema:
    """The running mean of a module's weights, which is the result of a training. All weights must be floating point."""

    def __init__(self, module: torch.nn.Module, decay: float) -> None:
        self._decay = decay
        self._values = module.state_dict()  # shares the module's memory
        self._mean = {name: value.clone() for name, value in self._values.items()}

    def update(self, step: int) -> None:
        decay = min(self._decay, (1 + step) / (10 + step))  # the first weights should be forgotten soon
        average = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
        average(list(self._mean.values()), list(self._values.values()), step)

    def state_dict(self) -> Mapping[str, Any]:
        return self._mean

    def load_state_dict(self, state: Mapping[str, Any], /) -> None:
        for name, mean in self._mean.items():
            mean.copy_(state[name])


def rate_at(step: int, steps: int, highest: float) -> float:
    """Return the learning rate: it rises for a thirtieth of the steps, then falls as a cosine to `highest` / 50."""
    warm = max(1, steps // 30)
    if step < warm:
        return highest * (step + 1) / warm
    share = (step - warm) / max(1, steps - warm)
    return highest * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * share)))


def descend(optimiser: torch.optim.Optimizer, loss: torch.Tensor, rate: float) -> torch.Tensor:
    """Take one step of gradient descent and return the loss."""
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    follow_gradient(optimiser, rate)
    return loss.detach()


def follow_gradient(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Clip the gradient and take the optimiser's step."""
    for group in optimiser.param_groups:
        group["lr"] = rate
    torch.nn.utils.clip_grad_norm_([value for group in optimiser.param_groups for value in group["params"]], 1.0)
    optimiser.step()


def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def randomness(seed: int) -> torch.Generator:
    """Return a random generator of the device."""
    return torch.Generator(device()).manual_seed(seed)


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
