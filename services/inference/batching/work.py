"""One thing to make, and everyone it is made for."""

from collections.abc import Hashable
from dataclasses import dataclass

from services.inference.batching.request import BatchRequest
from services.inference.runtime.adapter import Item


@dataclass(eq=False)
class Work:
    """`seats` pairs each seat with the item's index there; there are several where identical jobs wait.

    Works with equal `key` may share a call: the adapter's batch key, and what else keeps them apart. `bulk` is how the
    job waits. `seats` is replaced, never changed: the model thread reads it.
    """

    item: Item
    key: tuple[Hashable, Hashable]
    identity: Hashable
    bulk: bool = False
    seats: tuple[tuple[BatchRequest, int], ...] = ()

    @property
    def wanted(self) -> bool:
        return any(seat.wanted for seat, _ in self.seats)

    @property
    def begun(self) -> bool:
        """Somebody it is for is charged an attempt if the worker goes down now."""
        return any(seat.begun for seat, _ in self.seats)

    @property
    def alone(self) -> bool:
        """So are all it is for: what is alone is identical only to such as are."""
        return any(seat.alone for seat, _ in self.seats)

    def fail(self, exc: Exception) -> None:
        for seat, _ in self.seats:
            seat.fail(exc)
