"""Whom to blame: the first frame of an event that is no helper.

A crash often stands in a helper (memcpy, _raw_spin_lock) or in the machinery that reported it (dump_stack, panic).
Which names these are is knowledge and comes in as data (kb/frames.yaml), as HelperFrames.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from kbmatch.engine.signature import Culprit, Frame, Signature
from kbmatch.engine.symbols import strip_decorations
from kbmatch.engine.values import dataclass, field, replace


@dataclass(frozen=True, slots=True)
class HelperFrames:
    """Names that carry no blame. Each text is one regular expression for whole, undecorated function names.

    `common` holds for every kind; `common_by_initial` is the same, by the up to three letters that a name begins
    with, so that little of it has to be compiled (left out: `common` is asked). `by_kind` adds to it, `exceptions`
    (by kind too) takes away from both. `dispatchers` call others' work (system calls, softirq loops); for the kinds of
    `stall_kinds`, and for events whose message contains `stall_messages`, the function that the innermost dispatcher
    called is blamed, because such a report catches a looping CPU at a random depth; `outer_dispatchers` count where
    no other dispatched. `families` maps the name that a
    culprit bears to the names that other kernel versions use for the same function.
    """

    common: str = ""
    common_by_initial: Mapping[str, str] = field(default_factory=dict)
    by_kind: Mapping[str, str] = field(default_factory=dict)
    exceptions: Mapping[str, str] = field(default_factory=dict)
    dispatchers: str = ""
    outer_dispatchers: str = ""
    stall_kinds: tuple[str, ...] = ()
    stall_messages: str = ""
    families: Mapping[str, str] = field(default_factory=dict)

    def is_helper(self, symbol: str, kind: str) -> bool:
        """Whether a function of this (undecorated) name carries no blame in an event of this kind."""
        if _full(self.exceptions.get(kind, ""), symbol):
            return False
        return self._is_common(symbol) or _full(self.by_kind.get(kind, ""), symbol)

    def _is_common(self, symbol: str) -> bool:
        split = self.common_by_initial
        if not split:
            return _full(self.common, symbol)
        return any(_full(split.get(key, ""), symbol) for key in {symbol[:3], symbol[:2], symbol[:1], ""})

    def is_dispatcher(self, symbol: str) -> bool:
        """Whether a function of this name calls other people's work: a system call, a softirq loop."""
        return _full(self.dispatchers, symbol)

    def is_stall(self, event: Signature) -> bool:
        """Whether `event` caught a CPU at a random depth of what it was doing."""
        if event.kind in self.stall_kinds:
            return True
        return bool(self.stall_messages) and re.search(self.stall_messages, event.message) is not None

    def culprit(self, frame: Frame) -> Culprit:
        """`frame` as the one to blame, under its family's name."""
        for name, pattern in self.families.items():
            if _full(pattern, frame.symbol):
                return Culprit(name, frame.module)
        return Culprit(frame.symbol, frame.module)


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


@lru_cache(maxsize=16384)
def _full(pattern: str, symbol: str) -> bool:
    return bool(pattern) and _compiled(pattern).fullmatch(symbol) is not None


def _called_by_dispatcher(kind: str, helpers: HelperFrames, frames: Sequence[Frame]) -> Culprit | None:
    """The function that the innermost dispatcher called, or what everybody waits for above it; None without one."""
    called: Frame | None = None
    outer: Frame | None = None
    for frame in frames:
        if _full(helpers.exceptions.get(kind, ""), frame.symbol):
            return helpers.culprit(frame)
        if _full(helpers.dispatchers, frame.symbol):
            if called is not None:
                return helpers.culprit(called)
        elif _full(helpers.outer_dispatchers, frame.symbol):
            outer = outer or called
        elif not helpers.is_helper(frame.symbol, kind):
            called = frame
    return helpers.culprit(outer) if outer else None


def culprit_of(event: Signature, helpers: HelperFrames) -> Culprit | None:
    """The first function of `event`, from where the CPU stood down its trace, that is no helper; None without one.

    Where lockdep reports a lock taken by a helper, whoever took the lock already held comes before the trace.
    Frames marked "?" are leftovers on the stack and are asked only if no reliable frame answers.
    """
    frames = event.trace
    if not frames and event.tasks:
        frames = event.tasks[0].trace
    top = [Frame(event.symbol, event.printed or "", module=event.module)] if event.symbol else []
    reliable = [*(event.locks or top), *(f for f in frames if f.reliable)]
    if helpers.is_stall(event):
        blamed = _called_by_dispatcher(event.kind, helpers, reliable)
        if blamed:
            return blamed
    for pool in (reliable, [f for f in frames if not f.reliable]):
        for frame in pool:
            if frame.offset == 0 and frame is not pool[0]:
                continue  # the return address of a call that never returns: it is in the function behind the caller
            if not helpers.is_helper(strip_decorations(frame.symbol), event.kind):
                return helpers.culprit(frame)
    return None


def assign_culprits(events: Iterable[Signature], helpers: HelperFrames) -> tuple[Signature, ...]:
    """The same events, in the same order, with `culprit` filled."""
    return tuple(replace(event, culprit=culprit_of(event, helpers)) for event in events)
