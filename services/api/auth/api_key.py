"""An API key as the gateway keeps it: a name, a role and a hash. The key itself is shown once, when it is made."""

import hashlib
import re
import secrets
from dataclasses import dataclass
from typing import Final, Self

from services.api.auth.role import Role

PREFIX: Final = "studio_"  # so that scanners for secrets, and people, know one when they see one
_BYTES: Final = 32
NAME: Final = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
_LINE: Final = re.compile(rf"({NAME}):(user|operator):([0-9a-f]{{64}})")


@dataclass(frozen=True)
class ApiKey:
    """`name` is whose it is: several keys may have one, so that a new one can replace an old one.

    `digest` is the SHA-256 of the key, in hex. That, and nothing slower or salted, is right for 256 random bits: there
    is no list of them to try, no two are alike, and every request has to be checked. Slow hashes are for what people
    choose themselves.
    """

    name: str
    role: Role
    digest: str

    @classmethod
    def new(cls, name: str, role: Role) -> tuple[Self, str]:
        """What to keep, and the key to hand over. Raises ValueError for a name that is none."""
        text = PREFIX + secrets.token_urlsafe(_BYTES)
        return cls.parse(f"{name}:{role}:{digest_of(text)}"), text

    @classmethod
    def parse(cls, line: str) -> Self:
        """`NAME:ROLE:SHA256`. Raises ValueError, without the line: it may be the key itself, put in by mistake."""
        found = _LINE.fullmatch(line)
        if found is None:
            raise ValueError("an API key is kept as NAME:user:SHA256 or NAME:operator:SHA256, see `studio keys new`")
        return cls(found.group(1), Role(found.group(2)), found.group(3))

    @property
    def line(self) -> str:
        return f"{self.name}:{self.role}:{self.digest}"

    @property
    def owner(self) -> str:
        """What the jobs made with it are listed under."""
        return owner_named(self.name)


def owner_named(name: str) -> str:
    """The owner of the jobs of keys with this name."""
    return f"key:{name}"


def digest_of(text: str) -> str:
    """As it is kept. Headers come as Latin-1, whatever the client meant."""
    return hashlib.sha256(text.encode("latin-1", "replace")).hexdigest()
