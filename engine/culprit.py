"""
Whom to blame: the first frame of an event that is no helper.

A crash often stands in a helper (memcpy, _raw_spin_lock) or in the machinery that reported it (dump_stack, panic).
Which names these are is knowledge and comes in as data (kb/frames.yaml), as HelperFrames.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from kbmatch.engine.signature import Culprit, Frame, Signature
from kbmatch.engine.symbols import strip_decorations


@dataclass(frozen=True, slots=True)
class HelperFrames:
    """
    Names that carry no blame.

    `common` holds for every kind, `by_kind` adds to it. `dispatchers` are functions that call work on somebody's
    behalf (a syscall entry, a softirq loop); for the kinds of `stall_kinds` the function that the dispatcher called
    is blamed, because such a report catches a looping CPU at a random depth. Each text is one regular expression
    that is matched against a whole, undecorated name.
    """

    common: str = ""
    by_kind: Mapping[str, str] = field(default_factory=dict)
    dispatchers: str = ""
    stall_kinds: tuple[str, ...] = ()
    transparent: str = ""

    def is_helper(self, symbol: str, kind: str) -> bool:
        """Whether a function of this (undecorated) name carries no blame in an event of this kind."""
        if _full(self.common, symbol):
            return True
        extra = self.by_kind.get(kind)
        return bool(extra) and _full(extra or "", symbol)


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def _full(pattern: str, symbol: str) -> bool:
    return bool(pattern) and _compiled(pattern).fullmatch(symbol) is not None


def _stalled(event: Signature, helpers: HelperFrames, frames: Sequence[Frame]) -> Culprit | None:
    """The function that the innermost dispatcher called, if a frame above it is no helper."""
    called: Frame | None = None
    for frame in frames:
        if _full(helpers.dispatchers, frame.symbol):
            if called is not None:
                return Culprit(called.symbol, called.module)
            continue
        if not _full(helpers.transparent, frame.symbol) and not helpers.is_helper(frame.symbol, event.kind):
            called = frame
    return None


def culprit_of(event: Signature, helpers: HelperFrames) -> Culprit | None:
    """
    The first function of `event`, from where the CPU stood down its trace, that is no helper; None without one.

    Frames marked "?" are leftovers on the stack and are asked only if no reliable frame answers.
    """
    frames = list(event.trace)
    if not frames and event.tasks:
        frames = list(event.tasks[0].trace)
    top = Frame(event.symbol, event.printed or "", module=event.module) if event.symbol else None
    reliable = [f for f in frames if f.reliable]
    if event.kind in helpers.stall_kinds:
        blamed = _stalled(event, helpers, ([top] if top else []) + reliable)
        if blamed:
            return blamed
    for pool in (([top] if top else []) + reliable, [f for f in frames if not f.reliable]):
        for frame in pool:
            symbol = strip_decorations(frame.symbol)
            if not helpers.is_helper(symbol, event.kind):
                return Culprit(symbol, frame.module)
    return None


def assign_culprits(events: Iterable[Signature], helpers: HelperFrames) -> tuple[Signature, ...]:
    """The same events, in the same order, with `culprit` filled."""
    return tuple(replace(event, culprit=culprit_of(event, helpers)) for event in events)
