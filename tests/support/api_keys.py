"""API keys of three people for tests: the lines a gateway stores, the keys, and the header that carries one."""

from typing import Final

from services.api.auth.keys import ApiKey, Role

_KEYS: Final = {
    name: ApiKey.new(name, role) for name, role in (("alice", Role.USER), ("bob", Role.USER), ("olga", Role.OPERATOR))
}
LINES: Final = " ".join(key.line for key, _ in _KEYS.values())


def key_of(name: str) -> str:
    """Return the API key of this person."""
    return _KEYS[name][1]


def bearer(name: str) -> dict[str, str]:
    """Return the Authorization header with the key of this person."""
    return {"Authorization": f"Bearer {key_of(name)}"}
