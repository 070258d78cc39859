"""Three-valued logic (Kleene's): a missing fact is unknown, never false, and never satisfies a "not"."""

from __future__ import annotations

import enum
from collections.abc import Iterable


class Truth(enum.Enum):
    """True, false, or not known."""

    TRUE = "true"
    FALSE = "false"
    UNKNOWN = "unknown"

    @classmethod
    def of(cls, value: bool | None) -> Truth:
        """TRUE, FALSE, or UNKNOWN for None."""
        if value is None:
            return cls.UNKNOWN
        return cls.TRUE if value else cls.FALSE


def negate(truth: Truth) -> Truth:
    """The opposite; unknown stays unknown."""
    if truth is Truth.UNKNOWN:
        return truth
    return Truth.FALSE if truth is Truth.TRUE else Truth.TRUE


def at_least(count: int, truths: Iterable[Truth]) -> Truth:
    """TRUE when `count` are true, FALSE when not even the unknown ones could make it `count`."""
    known_true = possible = 0
    for truth in truths:
        known_true += truth is Truth.TRUE
        possible += truth is not Truth.FALSE
    if known_true >= count:
        return Truth.TRUE
    return Truth.UNKNOWN if possible >= count else Truth.FALSE


def all_of(truths: Iterable[Truth]) -> Truth:
    """FALSE if one is false, else UNKNOWN if one is unknown, else TRUE (also of nothing)."""
    listed = tuple(truths)
    return at_least(len(listed), listed)


def any_of(truths: Iterable[Truth]) -> Truth:
    """TRUE if one is true, else UNKNOWN if one is unknown, else FALSE (also of nothing)."""
    return at_least(1, truths)
