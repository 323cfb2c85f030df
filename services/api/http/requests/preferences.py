"""The Prefer header (RFC 7240): how long a client wants to wait for a job to end. Unknown preferences are ignored."""

from dataclasses import dataclass
from typing import Any, Final, Self

from starlette.requests import Request

MAX_WAIT_SECONDS: Final = 30  # below the idle timeouts usual in proxies
_MOST: Final = 50  # preferences that are read


@dataclass(frozen=True)
class Preferences:
    """`wait_seconds` is None without a wait, and at most MAX_WAIT_SECONDS."""

    wait_seconds: int | None = None
    respond_async: bool = False

    @classmethod
    def of(cls, request: Request[Any]) -> Self:
        wait_seconds, respond_async = None, False
        for preference in ",".join(request.headers.getlist("Prefer")).split(",", _MOST)[:_MOST]:
            name, _, value = preference.partition(";")[0].partition("=")
            name, value = name.strip().lower(), value.strip().strip('"')
            if name == "respond-async":
                respond_async = True
            elif name == "wait" and wait_seconds is None and value.isascii() and value.isdigit():
                wait_seconds = MAX_WAIT_SECONDS if len(value) > 4 else min(int(value), MAX_WAIT_SECONDS)
        return cls(wait_seconds, respond_async)

    def applied(self, status: int) -> dict[str, str]:
        """Return the Preference-Applied header for an answer with this status; empty if no preference was applied."""
        names = [] if self.wait_seconds is None else [f"wait={self.wait_seconds}"]
        if self.respond_async and status == 202:
            names.append("respond-async")
        return {"Preference-Applied": ", ".join(names)} if names else {}
