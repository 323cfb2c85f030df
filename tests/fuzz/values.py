"""Generates values of requests: sensible ones, and ones that have broken other servers."""

import json
import random
from collections.abc import Callable
from typing import Any, Final

MARKUP: Final = '<script>alert(1)</script>"><img src=x onerror=alert(2)>{{7*7}}%s${7*7}'
ODD: Final = (
    *("", " ", "\0", "\r\n", "\x1b[31m", "\u200b", "\u202egnp.exe", "\ufeff", "e\u0301" * 50, "\U0001f3fa" * 40),
    *(MARKUP, "'; DROP TABLE jobs; --", "../../../../etc/passwd", "..\\..\\x", "%00", "%s%s%n", "null", "NaN"),
    *("9" * 400, "-1", "1e400", "0x10", "true", "[]", "{}", "a" * 1000, "a" * 1001, "\ud800", "file:///etc/passwd"),
    *("http://169.254.169.254/", "data:image/png;base64,%%%", "__proto__", "constructor", "\u00e9" * 500),
)
ALPHABETS: Final = (
    (32, 126),
    (0, 31),
    (128, 255),
    (0x400, 0x4FF),
    (0x590, 0x6FF),
    (0x4E00, 0x4EFF),
    (0x1F300, 0x1F5FF),
)
NUMBERS: Final = (0, 1, -1, 2, 7, 64, 512, 513, 2**31, 2**53, 2**63, 2**64, -(2**63), 0.5, -0.0, 1e308, 4.2)
FIELDS: Final[dict[str, tuple[Any, ...]]] = {
    "prompt": ("a red mug", "vase"),
    "model": ("studio-tiny", "studio-tiny", "nobody"),
    "style": ("white-sweep", "dark-slate", None),
    "negative_prompt": ("blurry", None),
    "width": (128,),
    "height": (128,),
    "steps": (1, 4, 8),
    "guidance": (1.0, 4.5),
    "seed": (0, 7, 2**32 - 1, None),
    "num_images": (1, 2),
    "reproducibility": ("strict", "batch"),
    "n": (1, 2),
    "size": ("64x64", "auto"),
    "response_format": ("url", "b64_json"),
    "token": ("0" * 32,),
}


class ValueGenerator:
    """Draws from `source`, so that a seed generates the same values again."""

    def __init__(self, source: random.Random) -> None:
        self._random = source

    def text(self) -> str:
        kind = self._random.random()
        if kind < 0.5:
            return self._random.choice(ODD)
        low, high = self._random.choice(ALPHABETS)
        return "".join(chr(self._random.randint(low, high)) for _ in range(self._random.randint(0, 40)))

    def value(self, depth: int = 0) -> Any:
        makers: list[Callable[[], Any]] = [
            self.text,
            lambda: self._random.choice(NUMBERS),
            lambda: self._random.choice((None, True, False)),
        ]
        if depth < 4:
            makers += [
                lambda: [self.value(depth + 1) for _ in range(self._random.randint(0, 3))],
                lambda: {self.text(): self.value(depth + 1) for _ in range(self._random.randint(0, 3))},
            ]
        return self._random.choice(makers)()

    def fields(self) -> dict[str, Any]:
        """Return the fields of a job or a form, most of them sensible."""
        names = self._random.sample(sorted(FIELDS), self._random.randint(0, 4))
        made = {name: self._random.choice(FIELDS[name]) for name in {"prompt", *names}}
        if self._random.random() < 0.3:
            made[self._random.choice([*FIELDS, self.text()])] = self.value()
        if self._random.random() < 0.1:
            made.pop(self._random.choice(sorted(made)))
        return made

    def json(self) -> bytes:
        """Return a JSON body, sometimes a damaged one."""
        value = self.fields() if self._random.random() < 0.8 else self.value()
        body = json.dumps(value, ensure_ascii=self._random.random() < 0.5).encode("utf-8", "surrogatepass")
        return body if self._random.random() < 0.8 else self.damaged(body)

    def damaged(self, body: bytes) -> bytes:
        """Return the body cut, changed at one place, or with an insertion."""
        if not body:
            return b"\xff"
        at = self._random.randrange(len(body))
        match self._random.randrange(4):
            case 0:
                return body[:at]
            case 1:
                return body[:at] + self._random.randbytes(self._random.randint(1, 4)) + body[at + 1 :]
            case 2:
                return body[:at] + body[at:] * 2
            case _:
                return b"[" * self._random.randint(1, 2000) + body
