"""Reports whose first lines were lost: by which later line one is known, and when a lone trace is enough to be one.

A trace alone is no crash: the kernel prints one for each task that somebody asks for (kernel/sched/core.c,
sched_show_task, behind "task:NAME state:"), and drivers print one behind a line of their own. So a trace, or registers
with the code around them, count only where no line of the text tells what they are for.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from kbmatch.collectors.logs.heads import Head
from kbmatch.collectors.logs.lines import Line
from kbmatch.collectors.logs.registers import register_pairs
from kbmatch.collectors.logs.trace import parse_frame, starts_trace
from kbmatch.engine.patterns import lazy


class Torn(NamedTuple):
    """How reports without a head are looked for: the head that their first line stands for, texts that are in one."""

    head: Head
    signs: tuple[bytes, ...]


_BODY_HEAD = lazy(
    r"RIP: 0010:|Krnl PSW : |PC is at |NIP \[|Call [Tt]race:|CPU: \d+ (?:UID: \d+ )?PID: \d+ Comm: |Pid: \d+, comm: "
)
_BARE_HEAD = lazy(
    r"Call [Tt]race:|<(?:TASK|IRQ|NMI|SOFTIRQ)>|R[0-9A-Z]{2}: [0-9a-f]{16} R|E[A-D]X: [0-9a-f]{8} E|RSP: 0018:"
    r"|Code: (?:[0-9a-f]{2} ){4}"
)
BODY = Torn(
    Head("other", "report", 1, _BODY_HEAD),
    (b" PID: ", b", comm: ", b"RIP: 0010:", b"Krnl PSW : ", b"PC is at ", b"---[ end trace", b"NIP ["),
)
"""What names the place or the task: enough in any text."""
BARE = Torn(
    Head("other", "report", 1, _BARE_HEAD),
    (b"Call Trace:", b"Call trace:", b"<TASK>", b"<IRQ>", b"Code: "),
)
"""A trace or registers alone: enough where `is_clear`."""
_EXPLAINS = lazy(
    r"task:\S.{0,40} state:|\S.{0,15}\s+[RSDTtXZPIKW]\s+(?:running|\(null\)|[0-9a-f]{1,16})\s+\d"
    r"|.*(?:task +PC stack|[Ss]ys[Rr]q ?: |sysrq-trigger|Show(?:ing)? (?:State|Blocked|all |backtrace|busy|stack)"
    r"|NMI backtrace|stack backtrace|page_owner|allocated via|segfault at |traps: )"
)
_PART = lazy(
    r"(?:R[0-9A-Z]{2}|E[A-Z]{2}|[CDEFGS][RS]\d?|PKRU|EFLAGS|Code|Stack|Modules linked in|Hardware name|Workqueue"
    r"|Process|Call [Tt]race|CPU|x\d{1,2}|sp|pc|lr|pstate|R\d)\b ?:|[0-9a-f]{8,16} [0-9a-f]{8,16}"
    r"|\*\* \d+ printk messages|irq event stamp|(?:hard|soft)irqs last|PGD |#PF|Kernel Offset"
    r"|---\[|\.\.\.|\[last unloaded"
)
_USER = lazy(r"(?:RIP|RSP|CS): (?:0033|002b)|.*\b(?:RIP|RSP): (?:0033|002b):")
_MARKED_CODE = lazy(r"Code: (?:[0-9a-f]{2} ){8}.*<[0-9a-f]{2,8}>")
_DRIVER = lazy(r"[\w.-]{2,40}(?: [\w:.-]{1,40})?: \S")
_FRAMES = 3
_ROWS = 3
_SOON = 1.0


def has_signs(torn: Torn, data: bytes) -> bool:
    """Whether parts of such a report stand in `data`, though it may have no head."""
    return any(sign in data for sign in torn.signs)


def is_clear(lines: Iterable[Line]) -> bool:
    """Whether a text without any head holds a trace of several frames, or the kernel's registers and the code that it
    ran, that no line explains.
    """
    before: Line | None = None
    inside = user = code = False
    frames = rows = most = 0
    for line in lines:
        text = line.text
        if not text or line.kernel is False:
            continue
        if _EXPLAINS.match(text):
            return False
        frame = parse_frame(text)
        if starts_trace(text) or (frame is not None and frame.marks and not frame.frames):
            if not inside and before is not None and _tells(before, line):
                return False
            inside, frames = True, frames if inside else 0
        elif frame is not None and inside:
            frames += sum(1 for f in frame.frames if f.offset is not None and f.size is not None)
        else:
            inside = False
            user = user or _USER.match(text) is not None
            code = code or _MARKED_CODE.match(text) is not None
            rows += len(register_pairs(text)) >= 3
        most = max(most, frames)
        before = line
    return most >= _FRAMES or (code and rows >= _ROWS and not user)


def _tells(before: Line, line: Line) -> bool:
    """Whether the line before a trace is one of the kernel's that says what the trace is for."""
    if before.time is None and not before.kernel:
        # a person's words, unless they look like a driver's
        return line.number - before.number == 1 and _DRIVER.match(before.text) is not None and not _is_part(before)
    if before.time is not None and line.time is not None and abs(line.time - before.time) > _SOON:
        return False
    return not _is_part(before)


def _is_part(line: Line) -> bool:
    return _PART.match(line.text) is not None or parse_frame(line.text) is not None
