"""Who may call an operation."""

from enum import Enum, auto


class Access(Enum):
    """While keys are off an operator is who is on the gateway's own machine: not by a proxy, nor by another's page."""

    OPEN = auto()  # anybody, without a key: health, and what the documentation says
    USER = auto()  # whoever has a key
    OPERATOR = auto()  # with the key of one
