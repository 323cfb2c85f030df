"""The caller of a request: the owner of its jobs, and the party that limits count."""

from dataclasses import dataclass
from typing import Any, Final

from starlette.requests import Request

from services.api.auth.keys import ApiKey


@dataclass(frozen=True)
class Caller:
    """`owner` is the owner of the jobs that `Gateway` makes for the caller; limits and the fair order count by `party`.

    `key` is None while keys are off: then a job's URL is a capability, and each client that has it may use it.
    `trusted` callers are on this machine and need no key: only limits that the operator set apply to them.
    `shared` is True if the party may stand for many: an address that other callers are behind, by their own headers.
    """

    owner: str | None
    party: str
    key: ApiKey | None = None
    trusted: bool = False
    operator: bool = False
    shared: bool = False

    @property
    def account(self) -> str | None:
        """The name of the key, to show people as whom they are signed in."""
        return self.key.name if self.key else None

    def sees(self, owner: str | None) -> bool:
        """True if the jobs of this owner exist for the caller."""
        return self.key is None or self.operator or owner == self.owner


_CALLER: Final = "studio.caller"  # in the ASGI scope: it belongs to the request


def caller_of(request: Request[Any]) -> Caller:
    """Return the caller that authentication put into the request, before its handler began."""
    caller: Caller = request.scope[_CALLER]
    return caller


def set_caller(request: Request[Any], caller: Caller) -> None:
    """Keep the caller for `caller_of`."""
    request.scope[_CALLER] = caller


def shares_limits(request: Request[Any]) -> bool:
    """Return True if other callers may count as this one, as they come by the same proxy, which is not listed."""
    caller: Caller | None = request.scope.get(_CALLER)
    return caller is not None and caller.shared
