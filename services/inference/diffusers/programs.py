"""The programs that torch has traced in this process, and their memory.

torch keeps the description of every traced program in one registry, and can only forget all of them together: 30 MB
for each time that studio-tiny was loaded.
"""
# ruff: noqa: SLF001 - torch has no public way to empty its registry

import gc
from collections.abc import Callable
from typing import Any


class Programs:
    """Counts our programs, so that the registry is emptied once none of them is left, and nothing else is in it.

    A program of another library in the same registry would break, so the registry then stays as it is. Used in the
    model thread alone.
    """

    def __init__(self) -> None:
        self._live = 0
        self._functions = 0  # that our programs brought into the registry

    def trace(self, trace: Callable[[], Any]) -> Any:
        """Return the program that `trace` makes."""
        before = registered()
        program = trace()
        self._live += 1
        self._functions += registered() - before
        return program

    def forget(self, count: int) -> None:
        """Note that so many programs are used no more. Nothing may refer to them."""
        self._live -= count
        if count and not self._live and registered() == self._functions:
            gc.collect()
            _empty()
            self._functions = 0


PROGRAMS = Programs()  # of this process, as torch's registry is


def registered() -> int:
    """Return the number of functions in torch's registry."""
    import torch

    found: Any = torch.jit._state._python_cu
    return len(found.get_functions())


def _empty() -> None:
    """Empty the registry, and what refers to it, as torch's own tests do (`torch.testing._internal.jit_utils`)."""
    import torch

    torch._C._jit_clear_class_registry()
    torch.jit._recursive.concrete_type_store = torch.jit._recursive.ConcreteTypeStore()
    torch.jit._state._clear_class_state()
