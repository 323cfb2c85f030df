"""Whether this gateway may listen where it was told to: not where others are, unless somebody has to show a key."""

from services.api.auth.keys import KeyRing
from services.common.addresses import is_loopback
from services.common.settings import Settings


def check_exposure(settings: Settings, address: str) -> None:
    """Raises ValueError when `address`, which HOST resolved to, can be reached from elsewhere and keys are off.

    Inside a container HOST is an address that only the container's own network has: PUBLISHED_HOST says where it is
    reached from outside, and counts instead.
    """
    if settings.allow_anonymous or KeyRing.of(settings) is not None:
        return
    reached = settings.published_host or address
    if not is_loopback(reached):
        raise ValueError(
            f"{reached} can be reached from other machines and there are no API keys, so everybody could use this "
            "gateway: set STUDIO_KEYS (`studio keys new` makes one), or STUDIO_ALLOW_ANONYMOUS=true if you mean that"
        )
