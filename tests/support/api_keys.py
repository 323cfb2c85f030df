"""API keys for tests: three people, what a gateway keeps of their keys, and how they show them."""

from typing import Final

from services.api.auth.keys import ApiKey, Role

_MADE: Final = {
    name: ApiKey.new(name, role) for name, role in (("alice", Role.USER), ("bob", Role.USER), ("olga", Role.OPERATOR))
}
LINES: Final = " ".join(key.line for key, _ in _MADE.values())


def key_of(name: str) -> str:
    """The key itself."""
    return _MADE[name][1]


def bearer(name: str) -> dict[str, str]:
    """The header that shows it."""
    return {"Authorization": f"Bearer {key_of(name)}"}
