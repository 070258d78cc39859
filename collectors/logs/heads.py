"""Which head a line is: the first line of a crash report, by the table of head_table.py."""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

from kbmatch.collectors.logs.head_table import PARTS, TABLE
from kbmatch.engine.patterns import lazy


class Head(NamedTuple):
    """One kind of first line.

    `role`: "lead" is followed by a die line or a WARNING of the same crash; "die" is the `[#1]` line; "warn" a WARNING;
    "report" stands alone; "more" only adds to an open report of its kind; "hint" begins a report only where its real
    head is missing; "panic" ends the kernel. `rank`: the strongest head of a report names its kind; of rank 0 is what
    happens in passing.
    """

    kind: str
    role: str
    rank: int
    pattern: re.Pattern[str]


@cache
def head_at(row: int) -> Head:
    """The head of one row of the table; its pattern is compiled when it is first asked for."""
    kind, role, rank, _, text = TABLE[row]
    for name, part in PARTS:
        text = text.replace(name, part)
    return Head(kind, role, rank, re.compile(text))


_MAYBE = lazy(
    r"BUG|WARNING|INFO: |UBSAN|\[#\d|nable to handle|Unhandled|panic|Panic|PANIC|corruption|usercopy|refcount_t: |"
    r"detected buffer|field-spanning|double add|->prev should|->next should|GPF could|general protection|divide error|"
    r"LOCKUP|oom-k|ut of memory|Killed process|Hardware Error|HARDWARE|achine [Cc]heck|hardware memory error|SError|"
    r"Trigger a crash|unreferenced obj|waiting for |VFS: |stack overflow|Insufficient stack|Kernel attempted"
    r"|kernel tried|Faulting instr|Bad |KASAN: |CFI failure|ENDBR|slab error|Badness|bad: sched|unable to execute"
    r"|nternal error |allocation failure|allocation stalls|invalid operand|Oops: 0"
    r"|vmalloc error|VERIFY|ASSERT|Showing stack for|Vector: |as a result of limit"
    r"|Fixing recursive|Unrecoverable |of Memory: K|EDAC MC|NMI: |NMI rec|nobody cared|bus error, "
)


class Match(NamedTuple):
    """A head found in a line: which, and its named groups (unmatched ones left out)."""

    head: Head
    groups: dict[str, str]


def match_head(text: str) -> Match | None:
    """The head that `text` (a line without prefixes) is, or None. The first row of the table that fits decides."""
    if not _MAYBE.search(text):
        return None
    for row, (_, _, _, needles, _) in enumerate(TABLE):
        if needles in text if isinstance(needles, str) else any(needle in text for needle in needles):
            head = head_at(row)
            found = head.pattern.match(text)
            if found:
                return Match(head, {k: v for k, v in found.groupdict().items() if v is not None})
    return None
