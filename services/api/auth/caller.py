"""Who sent a request, as far as it matters: whose jobs are theirs, and whom the limits count."""

from dataclasses import dataclass
from typing import Any, Final

from starlette.requests import Request

from services.api.auth.keys import ApiKey


@dataclass(frozen=True)
class Caller:
    """`owner` is what `Gateway` calls the owner of the jobs it makes, `party` whom limits and the fair order count.

    `key` is None while keys are off: then a job's URL is a capability, and who has it may use it. `trusted` is who is
    on this machine and needs no key: limits that nobody set are not for them.
    """

    owner: str | None
    party: str
    key: ApiKey | None = None
    trusted: bool = False
    operator: bool = False

    @property
    def account(self) -> str | None:
        """The name of who is signed in, for people to see."""
        return self.key.name if self.key else None

    def sees(self, owner: str | None) -> bool:
        """Whether the jobs of this owner are there for it at all."""
        return self.key is None or self.operator or owner == self.owner


_CALLER: Final = "studio.caller"  # in the ASGI scope: it belongs to the request


def caller_of(request: Request[Any]) -> Caller:
    """Who the guard in front of the handler let in."""
    caller: Caller = request.scope[_CALLER]
    return caller


def set_caller(request: Request[Any], caller: Caller) -> None:
    """Keep the caller for `caller_of`."""
    request.scope[_CALLER] = caller
