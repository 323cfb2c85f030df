"""API keys: the record that the gateway keeps of each, and the ring of keys that the settings list."""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self

from services.common.settings import Settings


class Role(StrEnum):
    """A user sees and changes their own jobs. An operator sees and changes all jobs, and may use operators' routes."""

    USER = "user"
    OPERATOR = "operator"


PREFIX: Final = "studio_"  # so that scanners for secrets, and people, know one when they see one
_BYTES: Final = 32
NAME: Final = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
_LINE: Final = re.compile(rf"({NAME}):(user|operator):([0-9a-f]{{64}})")


@dataclass(frozen=True)
class ApiKey:
    """`name` is the owner's: several keys may share it, so that a new key can replace an old one.

    `digest` is the SHA-256 of the key, in hex. A fast hash without salt is right for 256 random bits: they cannot be
    guessed from a list, no two keys are alike, and every request has to be checked. Slow hashes are for passwords
    that people choose themselves.
    """

    name: str
    role: Role
    digest: str

    @classmethod
    def new(cls, name: str, role: Role) -> tuple[Self, str]:
        """Return the record to keep, and the key to hand over. Raises ValueError for a name that breaks `NAME`."""
        text = PREFIX + secrets.token_urlsafe(_BYTES)
        return cls.parse(f"{name}:{role}:{digest_of(text)}"), text

    @classmethod
    def parse(cls, line: str, where: str = "an entry") -> Self:
        """Read `NAME:ROLE:SHA256`. Raises ValueError, without the line: it may be a key itself, put in by mistake."""
        found = _LINE.fullmatch(line)
        if found is None:
            raise ValueError(
                f"{where} is no API key: write NAME:user:SHA256 or NAME:operator:SHA256, as `studio keys new` prints it"
            )
        return cls(found.group(1), Role(found.group(2)), found.group(3))

    @property
    def line(self) -> str:
        return f"{self.name}:{self.role}:{self.digest}"

    @property
    def owner(self) -> str:
        """The owner of the jobs made with this key."""
        return owner_named(self.name)


def owner_named(name: str) -> str:
    """Return the owner of the jobs made with the keys of this name."""
    return f"key:{name}"


def digest_of(text: str) -> str:
    """Return the digest of a key. Headers arrive as Latin-1, in whichever encoding the client wrote them."""
    return hashlib.sha256(text.encode("latin-1", "replace")).hexdigest()


LONGEST: Final = 256  # characters of a key that a client sends; ours have 50
_COMMENT: Final = re.compile(r"#.*")


@dataclass(frozen=True)
class KeyRing:
    keys: tuple[ApiKey, ...]

    @classmethod
    def of(cls, settings: Settings) -> Self | None:
        """Return the ring of the settings' keys; None while keys are off, with neither setting given.

        Raises OSError for a file that cannot be read, ValueError for a file without keys and for an entry that is no
        key.
        """
        texts = {"STUDIO_KEYS": settings.keys.get_secret_value() if settings.keys else ""}
        if settings.keys_file is not None:
            texts[str(settings.keys_file)] = settings.keys_file.read_text("utf-8")
        entries = [
            (f"entry {number} of {place}", line)
            for place, text in texts.items()
            for number, line in enumerate(_COMMENT.sub("", text).replace(",", " ").split(), 1)
        ]
        if settings.keys_file is not None and not entries:
            raise ValueError(f"{settings.keys_file} holds no API key: `studio keys new` makes one")
        return cls(tuple(ApiKey.parse(line, place) for place, line in entries)) if entries else None

    def find(self, text: str) -> ApiKey | None:
        """Return the key with this text, if there is one. The time it takes depends on no key."""
        return self._with(digest_of(text)) if len(text) <= LONGEST else None

    def kept(self, digest: str) -> ApiKey | None:
        """Return the key with this digest, or None once it was taken out of the settings."""
        return self._with(digest) if digest.isascii() else None

    def _with(self, digest: str) -> ApiKey | None:
        found = None
        for key in self.keys:
            if hmac.compare_digest(key.digest, digest):
                found = key
        return found
