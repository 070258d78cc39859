"""From a line of any log to what the kernel printed: prefixes of consoles, loggers, quotes and tickets come off.

Sources: kernel/printk/printk.c (levels, `[time]`, caller ids `[T12]`/`[C3]`, the /dev/kmsg record
"pri,seq,usec,flags;"; netconsole sends it too, and a syslog daemon puts date and host before it),
util-linux dmesg (-T, -x, --time-format), RFC 3164 and RFC 5424 syslog lines, journalctl short formats, Xen's console
("(d1)", "(XEN)"), Android vendors' CPU and task tags.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from kbmatch.collectors.logs.heads import match_head
from kbmatch.engine.patterns import lazy

_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_CLOCK = r"\d\d:\d\d:\d\d(?:[.,]\d{1,9})?"


class Line(NamedTuple):
    """One printed line: where it stands (1-based), its text without prefixes, its time (seconds since boot) and the
    caller ("T12" a task, "C3" a CPU), both None where not printed. `kernel` is False for lines that another
    program than the kernel wrote, None where the source does not tell.
    """

    number: int
    text: str
    time: float | None = None
    caller: str | None = None
    kernel: bool | None = None


_FAST = lazy(r"\[ *(\d{1,10}\.\d{3,9}) ?\](?:\[ *([TC]\d{1,7})\])? ?")
_PREFIX = lazy(
    r"\s*(?:"
    r"\[ *(?P<stamp>\d{1,10}\.\d{3,9})(?:,\d{1,3})? ?\] ?"
    r"|\[ *(?P<caller>[TC]\d{1,7})(?:@[TC]\d+)?\] ?"
    r"|<(?P<level>\d{1,3})c?>"
    r"|(?:[\w.:-]{1,64} )?(?:[\w.+~-]{3,80},)?\d{1,4},\d{1,19},(?P<usec>\d{1,19}),[-c+](?:,[^;\n]{0,200})?;"
    r"|(?:[>|] ?)+(?=[\[<\s\w(*=-])"
    r"|(?P<facility>kern|user|daemon|auth|syslog|local\d|mail|cron|lpr|news|uucp|authpriv|ftp) {0,3}:(?:emerg"
    r"|alert|crit|err|warn|notice|info|debug) {0,3}: ?"
    rf"|\[(?:[A-Z][a-z]{{2}} )?{_MONTH} ?[ \d]\d (?:{_CLOCK} \d{{4}}|\d\d:\d\d)\] ?"
    r"|\[ {0,14}\] ?(?=[\w<?*=(\[-])|\[name:[\w-]{1,40}&\] ?"
    r"|[^\W\d_]{2,5}\.? [ \d]\d \d\d:\d\d:\d\d (?=[\w.-]{1,64} kernel(?:\[\d+\])?: )"
    r"|\[ *\+ *\d+\.\d{6}\] ?"
    rf"|\[?\d{{4}}[-/]\d\d[-/]\d\d[T ]{_CLOCK}(?:Z| ?[+-]\d\d:?\d\d)?(?:\]|(?= )|: ?|$) ?"
    r"|\d{1,10}\.\d{6}\] ?"
    r"|(?P<host>(?!\w+: )<?[\w][\w.:-]{0,63}>?) (?P<tag>kernel|vmunix|klogd)(?:\[\d+\])?: ?"
    rf"|(?:{_MONTH} [ \d]\d (?:\d{{4}} )?{_CLOCK}(?: |$))"
    r"|[A-Z][a-z]{2} \d{4}-\d\d-\d\d \d\d:\d\d:\d\d [A-Z]{1,5} |\d{10}\.\d{6} (?=[\w.-]{1,64} kernel: )"
    r"|1 \d{4}-\d\d-\d\dT\S{8,32} \S{1,64} (?P<rfc>kernel) \S{1,48} \S{1,32} (?:-|\[[^\]\n]{0,200}\]) ?"
    r"|(?P<only>kernel)(?:\[\d+\])?: ?(?= ?\S)"
    r"|\((?:XEN|d\d+|d\d+v\d+)\) ?"
    r"|\[\d+:[ \w./:-]{1,24}: *\d+\] ?"
    r"|(?:EMERG|ALERT|CRIT|ERR(?:OR)?|WARN|NOTICE|KERN_[A-Z]+): (?=[\[<A-Z])"
    r")"
)
_EMBEDDED = lazy(r"\[ {0,6}\d{1,7}\.\d{6}\](?=[\[ ])")
_CALLER = lazy(r"\[ *([TC]\d{1,7})\] ?")
_OWN = (
    r"Hardware name|Kernel Offset|Instruction dump|Krnl (?:GPRS|Code)|Internal error|Call [Tt]race|(?:Local|Memory) \w+"
    r"|divide error|(?:invalid|undefined) \w+|double fault|stack segment|alignment check|protection fault|Machine model"
)
"""Two words before a colon that the kernel prints itself: no host and no program."""
_FOREIGN = lazy(rf"(?!(?:{_OWN}): )[\w.-]+ (?!kernel\b)[\w/.@-]{{1,48}}(?:\[\d+\])?: ")
_ANSI = lazy(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]{0,200}(?:\x07|\x1b\\)|[@-Z\\^_=>()][0-9A-B]?)")
LONG = 8192
"""Longer lines are cut: nothing that the kernel prints is longer (CONSOLE_EXT_LOG_MAX is 8192)."""


def strip_prefixes(text: str) -> tuple[str, float | None, str | None, bool | None, int]:
    """(text, time, caller, from the kernel, prefixes found) of one line; every known prefix is taken off."""
    if not text:
        return text, None, None, None, 0
    fast = _FAST.match(text)
    time: float | None = None
    caller: str | None = None
    kernel: bool | None = None
    found = 0
    if fast:
        time, caller, found, kernel = float(fast[1]), fast[2], 1, True
        text = text[fast.end() :]
        bare = not text or text[0] not in "[<>(|" or text[:2] == "[<" or (text[0] == "<" and not text[1:2].isdigit())
        if bare and " kernel: " not in text[:80]:
            return text, time, caller, kernel, found
    else:
        plus = text.find("+0x")
        if plus > 0 and text[:plus].lstrip(" \t?").isidentifier():
            return text, None, None, None, 0  # a frame with nothing before it, as most lines without a stamp are
    foreign = False
    for _ in range(12):
        match = _PREFIX.match(text)
        if not match or match.end() == 0:
            break
        if match["stamp"]:
            if time is not None and found and kernel and not text.lstrip().startswith("["):
                break
            time, kernel = float(match["stamp"]), True
        elif match["caller"]:
            caller = match["caller"]
        elif match["usec"]:
            time, kernel = int(match["usec"]) / 1e6, True
            extra = re.search(r"caller=([TC]\d{1,7})", match[0])
            caller = extra[1] if extra else caller
        elif match["tag"] or match["rfc"] or match["only"]:
            kernel = True
        elif match["level"]:
            # priority = facility * 8 + level; the kernel's own facility is 0
            foreign = foreign or int(match["level"]) >> 3 not in (0, 16, 17, 18, 19, 20, 21, 22, 23)
        elif match["facility"]:
            foreign = foreign or match["facility"] != "kern"
        found += 1
        text = text[match.end() :]
    return text, time, caller, False if foreign else kernel, found


def split_line(whole: str, number: int) -> Iterator[Line]:
    """The printed lines that one physical line holds: one, or more where a console lost the line ends."""
    if len(whole) > LONG:
        whole = whole[:LONG]
    if "\x1b" in whole:
        whole = _ANSI.sub("", whole)
    if "\r" in whole or "\x00" in whole:
        whole = whole.replace("\r", "").replace("\x00", "")
    if "\xa0" in whole:
        whole = whole.replace("\xa0", " ")
    text, time, caller, kernel, found = strip_prefixes(whole)
    start = 0
    for cut in _EMBEDDED.finditer(text) if "]" in text else ():
        piece = text[start : cut.start()]
        if piece.strip():
            yield Line(number, piece.strip(), time, caller, kernel)
        _, time, caller, kernel, _ = strip_prefixes(text[cut.start() : cut.end()])
        start = cut.end()
        follow = _CALLER.match(text, start)
        if follow:
            caller, start = follow[1], follow.end()
    text = text[start:].strip()
    if kernel is None and found and _FOREIGN.match(text) and match_head(text) is None:
        kernel = False
    yield Line(number, text, time, caller, kernel)
