"""The port for data that may be lost. Each method has a short deadline, and raises BackendUnavailable after it."""

from collections.abc import Sequence
from typing import Protocol


class Cache(Protocol):
    """A store whose content may be lost at any moment at no cost: no promise of the system may rest on it.

    A key is FOLDER/NAME, both of [a-z0-9._-]; the folder may have folders in it.
    """

    async def put(self, key: str, value: bytes, seconds: float) -> None:
        """Keep the value for so many seconds, in place of an earlier one."""

    async def get(self, key: str) -> bytes | None:
        """Return the value, or None once it is lost or its time has passed."""

    async def list(self, folder: str) -> dict[str, bytes]:
        """Return the values directly in the folder, by their whole keys."""

    async def delete(self, keys: Sequence[str]) -> None:
        """Delete these keys. Repeatable: a missing key is no error."""
