"""The keys that open this gateway, from the settings; read once, when it starts."""

import hmac
import re
from dataclasses import dataclass
from typing import Final, Self

from services.api.auth.api_key import ApiKey, digest_of
from services.common.settings import Settings

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
