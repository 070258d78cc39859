"""The face of a crash: what of an event can be compared with another crash of the same defect.

Addresses, offsets, registers and tasks differ from crash to crash and machine to machine; kind, functions, modules and
source files stay. The same function makes the face of a reported crash and, when rules are mined, of a quoted one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cached_property

from kbmatch.engine.signature import Frame, Signature
from kbmatch.engine.values import dataclass, replace

MAX_NAMES = 64
"""Functions of a trace that are looked at; deeper ones are the same in every crash."""
MAX_TASKS = 20
LONG_LIST = 40
"""So many loaded modules mean that drivers are modules here; boards of one purpose load some twenty."""
MAX_INLINED = 12
"""Functions that one frame may stand for."""
_TRACE_SOURCE = re.compile(r"(?<![\w./-])(?:\.{1,2}/)*((?:[\w+-]+/){1,8}[\w.+-]+\.[chS]):\d+")
_MAX_SOURCE_LINES = 400

_FAMILIES: Mapping[str, tuple[str, ...]] = {
    "memory": ("null-deref", "page-fault", "gpf", "kasan", "kfence", "stack-segment", "alignment", "double-fault"),
    "integrity": ("bug", "invalid-opcode", "list-corruption", "usercopy", "bad-page", "panic"),
    "warning": ("warning", "refcount"),
    "uninitialised": ("kmsan",),
    "race": ("kcsan",),
    "arithmetic": ("ubsan", "divide-error"),
    "locking": ("lockdep", "atomic-sleep"),
    "hang": ("soft-lockup", "hard-lockup", "rcu-stall", "hung-task", "workqueue-stall"),
    "leak": ("memory-leak",),
    "overflow": ("stack-overflow",),
    "other": ("other",),
}
FAMILY: Mapping[str, str] = {kind: family for family, kinds in _FAMILIES.items() for kind in kinds}
"""The family of each kind that may be compared; oom, mce and sysrq are nobody's bug and have none."""

SANITIZER_KINDS = frozenset(("kasan", "kmsan", "kcsan", "ubsan", "kfence", "memory-leak", "lockdep", "atomic-sleep"))
"""Kinds that only a kernel built for debugging prints."""

_BETWEEN: Mapping[frozenset[str], float] = {
    frozenset(("memory", "integrity")): 0.75,
    frozenset(("memory", "warning")): 0.6,
    frozenset(("integrity", "warning")): 0.75,
    frozenset(("memory", "arithmetic")): 0.6,
    frozenset(("memory", "uninitialised")): 0.6,
    frozenset(("memory", "overflow")): 0.5,
    frozenset(("memory", "race")): 0.5,
    frozenset(("integrity", "overflow")): 0.5,
    frozenset(("locking", "hang")): 0.85,
    frozenset(("locking", "warning")): 0.5,
    frozenset(("locking", "memory")): 0.4,
    frozenset(("warning", "leak")): 0.4,
    frozenset(("memory", "hang")): 0.35,
    frozenset(("integrity", "hang")): 0.35,
}
_SAME_FAMILY: Mapping[str, float] = {"memory": 0.95, "hang": 0.9, "integrity": 0.85}


def compatibility(one: str, other: str) -> float:
    """How well two kinds may come from one defect, from 0 (never) to 1 (the same kind)."""
    a, b = FAMILY.get(one), FAMILY.get(other)
    if a is None or b is None:
        return 0.0
    if one == other:
        return 1.0
    if a == b:
        return _SAME_FAMILY.get(a, 0.8)
    if "other" in (a, b):
        return 0.75  # the head is lost or of a sort of its own
    return _BETWEEN.get(frozenset((a, b)), 0.0)


@dataclass(frozen=True, slots=True)
class Named:
    """One function of the sequence: `inline` if the trace says that it has no frame of its own."""

    symbol: str
    inline: bool
    module: str | None


class Face:
    """The comparable part of one event.

    `sequence` are the functions from where the CPU stood outwards, inlined ones included; `blamed` the names that the
    blamed function bears: the culprit first, then those inlined into it and, where it was inlined, those that hold it.
    `position` is that of the culprit in `sequence`. `arch` is the machine's, where it is known.
    """

    def __init__(self, event: Signature, arch: str | None = None) -> None:
        self.event = event
        self.kind = event.kind
        self.arch = arch

    @cached_property
    def sequence(self) -> tuple[Named, ...]:
        """The functions, innermost first, leftovers on the stack ("?") only where there is nothing else."""
        event = self.event
        trace: Iterable[Frame] = event.trace
        if not event.trace and event.tasks:
            trace = event.tasks[0].trace
        frames = [frame for frame in trace if frame.reliable] or list(trace)
        names = [Named(f.symbol, _is_inline(f), f.module) for f in frames]
        if event.symbol:
            at = next((i for i, name in enumerate(names) if name.symbol == event.symbol), None)
            if at is None:
                names.insert(0, Named(event.symbol, False, event.module))
            else:
                while at and names[at - 1].inline:
                    at -= 1
                del names[:at]  # the reporter's own frames
        return tuple(names[:MAX_NAMES])

    @cached_property
    def tasks(self) -> tuple[Face, ...]:
        """Of an event that lists blocked tasks the face of each, for no task is more to blame than another."""
        if len(self.event.tasks) < 2:
            return ()
        found = []
        for task in self.event.tasks[:MAX_TASKS]:
            top = next((frame for frame in task.trace if frame.reliable), None)
            if top is not None:
                whole = replace(self.event, trace=task.trace, tasks=(task,), symbol=top.symbol, culprit=None)
                found.append(Face(replace(whole, module=top.module), self.arch))
        return tuple(found)

    @cached_property
    def names(self) -> Mapping[str, int]:
        """Where each function first stands in the sequence."""
        found: dict[str, int] = {}
        for index, name in enumerate(self.sequence):
            found.setdefault(name.symbol, index)
        return found

    def next_after(self, at: int, symbol: str, most: int) -> int | None:
        """Where a function follows behind index `at`, with at most `most` whole frames between; None if it does not."""
        between = 0
        for index in range(at + 1, len(self.sequence)):
            name = self.sequence[index]
            if name.symbol == symbol:
                return index
            between += not name.inline
            if between > most:
                break
        return None

    @cached_property
    def position(self) -> int:
        """Index of the culprit in the sequence; 0 where it is not in it under its own name."""
        culprit = self.event.culprit
        return self.names.get(culprit.symbol, 0) if culprit else 0

    @cached_property
    def blamed(self) -> tuple[str, ...]:
        """The names of the blamed function, innermost first."""
        culprit = self.event.culprit
        if culprit is None:
            return ()
        found = [culprit.symbol]
        at = self.position
        while at and self.sequence[at - 1].inline:
            at -= 1
        for index, name in enumerate(self.sequence[at : at + MAX_INLINED], at):
            if name.symbol not in found:
                found.append(name.symbol)
            if not name.inline and index >= self.position:
                break
        return tuple(found)

    @cached_property
    def modules(self) -> frozenset[str]:
        """Modules that frames bear, "-" written as "_"."""
        culprit = self.event.culprit
        tags = [self.event.module, culprit.module if culprit else None, *(name.module for name in self.sequence)]
        return frozenset(tag.replace("-", "_") for tag in tags if tag)

    def lacks(self, words: Iterable[str], least: int = LONG_LIST) -> bool:
        """Whether a list of `least` or more loaded modules has none with one of the words in its name.

        A short one is no proof: kernels of one's own have drivers built in, and reporters cut lists.
        """
        loaded = self.event.modules or ()
        if len(loaded) < least:
            return False
        names = [name.replace("-", "_").lower() for name in loaded]
        return not any(word in name if len(word) > 2 else word == name for word in words for name in names)

    @cached_property
    def sources(self) -> frozenset[str]:
        """Source files that the report names, as paths from the kernel's root."""
        texts = [self.event.source_line or "", *(self.event.text or ())[:_MAX_SOURCE_LINES]]
        return frozenset(match[1] for text in texts for match in _TRACE_SOURCE.finditer(text))

    @cached_property
    def at(self) -> str | None:
        """The place that a BUG, WARNING or UBSAN line names: "fs/ext4/file.c:319", or the file alone."""
        line = self.event.source_line
        if not line or self.kind not in ("bug", "warning", "ubsan", "atomic-sleep", "invalid-opcode"):
            return None
        match = re.search(r"(?:[\w+-]+/){1,8}[\w.+-]+\.[chS](?=:|$)(?::\d{1,6}(?!\d))?", line)
        return match[0] if match else None


def _is_inline(frame: Frame) -> bool:
    return frame.offset is None and frame.printed.rstrip().endswith("[inline]")
