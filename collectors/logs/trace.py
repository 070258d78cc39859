"""Call trace lines: frames, stack marks, and the headers of traces and of side reports.

Sources: arch/x86/kernel/dumpstack.c and dumpstack_64.c (marks `<IRQ>`, `<TASK>`; "?" for what the unwinder did not
vouch for), arch/arm/kernel/traps.c (dump_backtrace_entry: "f from g"), arch/powerpc/kernel/process.c,
arch/powerpc/xmon/xmon.c (xmon_show_stack, 4.14: the address without brackets), arch/s390/kernel/dumpstack.c,
arch/riscv/kernel/stacktrace.c, lib/stackdepot.c, scripts/decode_stacktrace.sh.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from kbmatch.collectors.logs.registers import with_module_behind
from kbmatch.engine.patterns import lazy
from kbmatch.engine.signature import Frame
from kbmatch.engine.symbols import parse_location

_MARK = lazy(r"<{1,2}(?P<end>/)?(?P<mark>[A-Z#][\w#]{0,15})>{1,2}")
_ADDR = (
    r"(?:\(?\[?<[0-9a-f]{8,16}>\]?\)?|\[[0-9a-f]{8,16}\](?: \[?[0-9a-f]{8,16}\]?)?"
    r"|\[link register +\] [0-9a-f]{8,16})"
)
_SYM = r"[A-Za-z_.$<{][^\s()\[\]]{0,200}?"
_FRAME = lazy(
    rf"(?:{_ADDR}\s*)?(?P<guess>\? )?\(?"
    rf"(?P<printed>{_SYM}\+0x[0-9a-f]{{1,16}}/0x[0-9a-f]{{1,16}}"
    r"(?:\)? \[(?!<)[\w.-]+[^\]\n]{0,60}\])?)"
    r"(?P<tail>.*)$"
)
_DECODED = lazy(
    rf"(?:{_ADDR}\s*)?(?P<guess>\? )?"
    r"(?P<printed>[A-Za-z_][\w.$]* \((?:[^()\s]+:[\d?]+(?: \(discriminator \d+\))? ?){1,8}\)"
    r"(?: \[?[\w-]+\b[^\]\n]{0,60}\]?)?)"
    r"(?P<tail>)$"
)
_ARM = lazy(
    rf"(?:{_ADDR} )?\(?(?P<callee>[A-Za-z_.][\w.$]*)(?:\+0x[0-9a-f]+/0x[0-9a-f]+)?(?: \[\w+\])?\)? from "
    rf"(?:{_ADDR} )?\(?(?P<printed>[A-Za-z_.][\w.$]*\+0x[0-9a-f]+/0x[0-9a-f]+(?: \[[\w-]+\])?)\)?"
)
_INLINE = lazy(r"(?:\? )?(?P<printed>[A-Za-z_][\w.$]*) (?P<file>[\w./+-]+:\d+) \[inline\]$")
_START = lazy(r"(?:.*\s)?(?:Call [Tt]race|Backtrace|backtrace|Stack backtrace|stack backtrace|Call Backtrace)\s*:")
_SIDE = lazy(
    r"(?:Allocated(?: by task \d+.*|)|Freed(?: by task \d+.*|)|Last (?:potentially related work creation"
    r"|call_rcu\(\))|"
    r"Second to last potentially related work creation|(?:Last|Second to last) potentially.*|"
    r"Uninit was (?:stored to memory|created) at|Memory state around|"
    r"(?:kfence-#\d+.*|\S+ \[0x[0-9a-f]+-0x.*) (?:allocated|freed) by task .*|(?:allocated|freed) by task .*|"
    r"page last (?:allocated|free)\b.*|page_owner .*|Local variable .* (?:created|declared) at|"
    r"the existing dependency chain.*|INFO: (?:Allocated|Freed) in .*|"
    r"PID = \d+|Aux work creation.*|free_pid.*|Bytes \d+-\d+ of \d+ are uninitialized.*|"
    r"Last Breaking-Event-Address|last function: .*|Showing (?:busy|all) .*|Showing backtraces? .*|Mem-Info:.*)"
)


class FrameLine(NamedTuple):
    """What a trace line holds: frames (two for arm's first line), marks opened ("IRQ", "/IRQ"), a decoded position."""

    frames: tuple[Frame, ...]
    marks: tuple[str, ...]
    source_line: str | None = None


def frame_of(printed: str, reliable: bool) -> Frame:
    """The frame that a printed location is."""
    symbol, offset, size, module = parse_location(printed)
    return Frame(symbol or printed, printed, offset, size, module, reliable)


def parse_frame(text: str, markers: bool = True) -> FrameLine | None:
    """The frames and marks of one trace line, None if it is no trace line."""
    marks: tuple[str, ...] = ()
    if markers and "<" in text and ">" in text:
        body = text
        found = []
        while True:
            match = _MARK.match(body)
            if not match:
                match = re.match(r"\[<[0-9a-f]{8,16}>\] (?=<<?[A-Z/])", body)
                if match:
                    body = body[match.end() :]
                    continue
                break
            found.append(("/" if match["end"] else "") + match["mark"])
            body = body[match.end() :].lstrip()
        marks = tuple(found)
        text = body if found else text
    if not text:
        return FrameLine((), marks) if marks else None
    if " from " in text:
        arm = _ARM.match(text)
        if arm:
            callee = Frame(parse_location(arm["callee"])[0] or arm["callee"], arm["callee"])
            return FrameLine((callee, frame_of(arm["printed"], True)), ("ARM", *marks))
    if "+0x" in text:
        if "] :" in text or text[0] == ":":
            before, colon, place = text.partition(":")
            text = before + with_module_behind(colon + place)
        match = _FRAME.match(text)
        if match:
            tail = match["tail"].strip()
            reliable = not match["guess"] and "(unreliable)" not in tail
            source = re.match(r"\)?\s*([\w./+-]+\.\w+:\d+)", tail)
            return FrameLine(
                (frame_of(match["printed"].replace(") [", " ["), reliable),),
                marks,
                source[1] if source else None,
            )
    elif "(" in text and ":" in text:
        match = _DECODED.match(text)
        if match:
            source = re.search(r"\(([^()\s]+:\d+)", match["printed"])
            return FrameLine((frame_of(match["printed"], not match["guess"]),), marks, source[1] if source else None)
    elif text.endswith("[inline]"):
        match = _INLINE.match(text)
        if match:
            return FrameLine((Frame(match["printed"], text, reliable=not text.startswith("?")),), marks, match["file"])
    return FrameLine((), marks) if marks else None


def starts_trace(text: str) -> bool:
    """Whether a line is "Call Trace:" or one of its like."""
    if text.startswith(("Call Trace:", "Call trace:", "Backtrace:")):
        return True
    return text.endswith(":") and _START.match(text) is not None


def starts_side_report(text: str) -> bool:
    """Whether what follows is another trace than the crash's own (allocation, free, origin, dependency chain)."""
    return _SIDE.match(text) is not None
