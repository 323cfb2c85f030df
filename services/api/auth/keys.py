"""API keys: what the gateway keeps of each, and the keys that the settings list."""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self

from services.common.settings import Settings


class Role(StrEnum):
    """A user sees and touches his own jobs; an operator those of everybody, and what is the operator's."""

    USER = "user"
    OPERATOR = "operator"


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


LONGEST: Final = 256  # of a key somebody sends; ours have 50
_COMMENT: Final = re.compile(r"#.*")


@dataclass(frozen=True)
class KeyRing:
    keys: tuple[ApiKey, ...]

    @classmethod
    def of(cls, settings: Settings) -> Self | None:
        """None where keys are off: neither setting is given.

        Raises OSError for a file that cannot be read, ValueError for one without keys and for what is no key.
        """
        given = settings.keys.get_secret_value() if settings.keys else ""
        if settings.keys_file is not None:
            given += "\n" + settings.keys_file.read_text("utf-8")
        lines = _COMMENT.sub("", given).replace(",", " ").split()
        if settings.keys_file is not None and not lines:
            raise ValueError(f"{settings.keys_file} holds no API key: `studio keys new` makes one")
        return cls(tuple(ApiKey.parse(line) for line in lines)) if lines else None

    def find(self, text: str) -> ApiKey | None:
        """The key of this text. How long that takes tells nothing of any key."""
        return self._with(digest_of(text)) if len(text) <= LONGEST else None

    def kept(self, digest: str) -> ApiKey | None:
        """The key with this hash, unless it was taken away meanwhile."""
        return self._with(digest) if digest.isascii() else None

    def _with(self, digest: str) -> ApiKey | None:
        found = None
        for key in self.keys:
            if hmac.compare_digest(key.digest, digest):
                found = key
        return found
