"""The port for what nobody misses. Every method has a short deadline of its own and raises BackendUnavailable then."""

from collections.abc import Sequence
from typing import Protocol


class Cache(Protocol):
    """What may be lost at any moment and then costs nothing: no promise of the system may rest on it.

    A key is FOLDER/NAME, both of [a-z0-9._-]; the folder may have folders in it.
    """

    async def put(self, key: str, value: bytes, seconds: float) -> None:
        """Keep the value for so long, in place of what was there."""

    async def get(self, key: str) -> bytes | None:
        """None once it is lost or its time has passed."""

    async def list(self, folder: str) -> dict[str, bytes]:
        """All there is directly in the folder, by whole key."""

    async def delete(self, keys: Sequence[str]) -> None:
        """Repeatable: a missing key is no error."""
