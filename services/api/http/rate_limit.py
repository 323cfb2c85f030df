"""How often a party may submit: so many times in each window of time, counted where the status store is.

Windows begin at multiples of their length, so one increment of a counter tells all there is to tell, and when it ends
is known without asking. The price: around the end of a window twice as many may come in the time of one.
"""

import math
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import structlog
from limits import RateLimitItem, parse
from limits.aio.storage import MemoryStorage, RedisStorage, Storage
from starlette.requests import Request
from starlette.types import Scope

from services.common.errors import BackendUnavailable
from services.common.redis import answering, open_redis_link
from services.common.settings import Settings

log = structlog.get_logger(__name__)

POLICY: Final = "submit"
DEFAULT: Final = "60/minute"
# Added to what a submit may take when Redis does not answer, which together must stay below 3 s.
CALL_SECONDS: Final = 0.25


@dataclass(frozen=True)
class Allowance:
    """`used` of `most` in this window of `window_seconds`, which is over in `reset_seconds`."""

    most: int
    window_seconds: int
    used: int
    reset_seconds: int

    @property
    def spent(self) -> bool:
        return self.used > self.most

    @property
    def headers(self) -> dict[str, str]:
        """As draft-ietf-httpapi-ratelimit-headers-10 has them."""
        return {
            "RateLimit-Policy": f'"{POLICY}";q={self.most};w={self.window_seconds}',
            "RateLimit": f'"{POLICY}";r={max(self.most - self.used, 0)};t={self.reset_seconds}',
        }


_ALLOWANCE: Final = "studio.allowance"  # in the ASGI scope: it belongs to the request


def allowance_of(scope: Scope) -> Allowance | None:
    """Return what the request's caller may still submit; None where the request did not count as a submit."""
    allowance: Allowance | None = scope.get(_ALLOWANCE)
    return allowance


def set_allowance(request: Request[Any], allowance: Allowance) -> None:
    """Keep the allowance for `allowance_of`."""
    request.scope[_ALLOWANCE] = allowance


class RateLimit:
    """Opened by `open_rate_limit`."""

    def __init__(self, storage: Storage, rate: RateLimitItem) -> None:
        self._storage = storage
        self._rate = rate

    async def count(self, party: str) -> Allowance | None:
        """One more of the party. None where it cannot be counted, and then nobody is refused: whoever needs Redis
        for more than this is refused by that.
        """
        now, window = time.time(), self._rate.get_expiry()
        number = int(now // window)
        try:
            async with answering("rate limit", CALL_SECONDS):
                used = await self._storage.incr(self._rate.key_for(party, number), window)
        except BackendUnavailable as exc:
            log.warning("submit not counted", reason=str(exc))
            return None
        reset = max(math.ceil((number + 1) * window - now), 1)
        return Allowance(self._rate.amount, window, used, reset)


def rate_of(settings: Settings) -> RateLimitItem | None:
    """None where the setting is empty. Raises ValueError for one that is no rate."""
    text = DEFAULT if settings.rate_limit is None else settings.rate_limit
    if not text:
        return None
    try:
        return parse(text)
    except ValueError as exc:
        raise ValueError(f"STUDIO_RATE_LIMIT: {text!r} is no rate such as 60/minute") from exc


@asynccontextmanager
async def open_rate_limit(rate: RateLimitItem | None, settings: Settings) -> AsyncIterator[RateLimit | None]:
    """Gateways share what they count where records are in Redis, else each counts for itself."""
    if rate is None:
        yield None
        return
    async with AsyncExitStack() as stack:
        storage: Storage = MemoryStorage()
        url = settings.statuses_url
        if urlsplit(url).scheme in ("redis", "rediss"):
            link = await stack.enter_async_context(open_redis_link(url))
            pool: Any = link.client.connection_pool  # which the library takes, whatever its types say
            storage = RedisStorage(
                f"async+{url}", implementation="redispy", key_prefix="studio:rate", connection_pool=pool
            )
        yield RateLimit(storage, rate)
