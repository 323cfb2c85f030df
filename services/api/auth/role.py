"""What a key lets its holder do."""

from enum import StrEnum


class Role(StrEnum):
    """A user sees and touches his own jobs; an operator those of everybody, and what is the operator's."""

    USER = "user"
    OPERATOR = "operator"
