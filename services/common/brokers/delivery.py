"""A message in the hands of one consumer, and the ways to settle it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from types import TracebackType

from services.common.errors import HandedBack, InvalidMessage


class Settlement(Enum):
    ACK = auto()
    REJECT = auto()  # to the dead letters
    REQUEUE = auto()  # not the message's fault
    RETRY = auto()  # perhaps its fault: it counts as delivered, with every broker


@dataclass(frozen=True)
class Delivery:
    """A message handed to one consumer, as an async context manager that settles it.

    Leaving normally acks, InvalidMessage rejects to the dead letters, HandedBack has it delivered again and counted,
    anything else (cancellation included) requeues. `deliveries` counts earlier deliveries of this message. A delivery
    whose connection is gone settles to nothing: the broker has requeued it already. `bulk` as it was published.
    """

    body: bytes
    message_id: str
    deliveries: int
    settle: Callable[[Settlement], Awaitable[None]]
    headers: Mapping[str, str] = field(default_factory=dict)
    bulk: bool = False

    async def __aenter__(self) -> bytes:
        return self.body

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if kind is None:
            settlement = Settlement.ACK
        elif issubclass(kind, InvalidMessage):
            settlement = Settlement.REJECT
        else:
            settlement = Settlement.RETRY if issubclass(kind, HandedBack) else Settlement.REQUEUE
        await self.settle(settlement)
        return settlement in (Settlement.REJECT, Settlement.RETRY)
