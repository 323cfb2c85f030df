"""The rate limit of submits: a number for each caller and window of time, counted where the status store is.

Windows begin at multiples of their length, so one increment of a counter suffices, and the end of a window is known
without a question. The price: around the end of a window, twice the number may pass in the time of one window.
"""

import math
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import structlog
from limits import RateLimitItem, parse
from limits.aio.storage import MemoryStorage, RedisStorage, Storage
from starlette.requests import Request
from starlette.types import Scope

from services.common.errors import BackendUnavailable
from services.common.settings import Settings

if TYPE_CHECKING:
    from services.common.redis.link import RedisLink

log = structlog.get_logger(__name__)

POLICY: Final = "submit"
DEFAULT: Final = "60/minute"
UNLIMITED: Final = "none"
# Added to the time of a submit when Redis does not answer; together they must stay below 3 s.
CALL_SECONDS: Final = 0.25


@dataclass(frozen=True)
class Allowance:
    """`used` of `most` submits in this window of `window_seconds`, which ends in `reset_seconds`."""

    most: int
    window_seconds: int
    used: int
    reset_seconds: int

    @property
    def spent(self) -> bool:
        return self.used > self.most

    @property
    def headers(self) -> dict[str, str]:
        """The headers of draft-ietf-httpapi-ratelimit-headers-10."""
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

    def __init__(
        self,
        storage: Storage,
        rate: RateLimitItem,
        link: "RedisLink | None" = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._storage = storage
        self._rate = rate
        self._link = link
        self._clock = clock

    async def count(self, party: str) -> Allowance | None:
        """Count one more submit of the party. Return None while Redis is down.

        The limit then fails open: a submit needs Redis anyway.
        """
        now, window = self._clock(), self._rate.get_expiry()
        number = int(now // window)
        try:
            async with self._link.answering("rate limit", CALL_SECONDS) if self._link else nullcontext():
                used = await self._storage.incr(self._rate.key_for(party, number), window)
        except BackendUnavailable as exc:
            log.warning("submit not counted", reason=str(exc))
            return None
        reset = max(math.ceil((number + 1) * window - now), 1)
        return Allowance(self._rate.amount, window, used, reset)


def rate_of(settings: Settings) -> RateLimitItem | None:
    """Parse the setting; None where it says that there is no limit. Raises ValueError for an invalid rate."""
    text = DEFAULT if settings.rate_limit is None else settings.rate_limit
    if text == UNLIMITED:
        return None
    try:
        return parse(text)
    except ValueError as exc:
        allowed = f"allowed is one such as 60/minute, and {UNLIMITED} for no limit"
        raise ValueError(f"STUDIO_RATE_LIMIT: {text!r} is no rate; {allowed}") from exc


@asynccontextmanager
async def open_rate_limit(
    rate: RateLimitItem | None, settings: Settings, clock: Callable[[], float] = time.time
) -> AsyncIterator[RateLimit | None]:
    """Open the counters: gateways share them where records are in Redis, else each gateway counts for itself.

    They count in the same windows if `clock` is that of the records.
    """
    if rate is None:
        yield None
        return
    async with AsyncExitStack() as stack:
        storage: Storage = MemoryStorage()
        link: RedisLink | None = None
        url = settings.statuses_url
        if urlsplit(url).scheme in ("redis", "rediss"):
            from services.common.redis.link import open_redis_link

            link = await stack.enter_async_context(open_redis_link(url))
            pool: Any = link.client.connection_pool  # the library accepts it, whatever its types say
            storage = RedisStorage(
                f"async+{url}", implementation="redispy", key_prefix="studio:rate", connection_pool=pool
            )
        yield RateLimit(storage, rate, link, clock)
