"""Refuses to listen where other machines can reach the gateway while it asks for no keys."""

from services.api.auth.keys import KeyRing
from services.common.network.addresses import is_loopback
from services.common.settings import Settings


def check_exposure(settings: Settings, address: str) -> None:
    """Raise ValueError when `address`, which HOST resolved to, can be reached from other machines and keys are off.

    Inside a container HOST is an address in the container's own network. PUBLISHED_HOST says where the gateway is
    reached from outside, and counts instead.
    """
    if settings.allow_anonymous or KeyRing.of(settings) is not None:
        return
    reached = settings.published_host or address
    if not is_loopback(reached):
        raise ValueError(
            f"{reached} can be reached from other machines and there are no API keys, so anyone could use this "
            "gateway: set STUDIO_KEYS (`studio keys new` makes one), or STUDIO_ALLOW_ANONYMOUS=true to allow that"
        )
