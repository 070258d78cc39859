"""From a line of any log to what the kernel printed: prefixes of consoles, loggers, quotes and tickets come off.

Sources: kernel/printk/printk.c (levels, `[time]`, caller ids `[T12]`/`[C3]`, the /dev/kmsg record
"pri,seq,usec,flags;"), util-linux dmesg (-T, -x, --time-format), RFC 3164 and RFC 5424 syslog lines, journalctl
short formats, Xen's console
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
    r"|\d{1,4},\d{1,19},(?P<usec>\d{1,19}),[-c+](?:,[^;\n]{0,200})?;"
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
_FOREIGN = lazy(r"[\w.-]+ (?!kernel\b)[\w/.@-]{1,48}(?:\[\d+\])?: ")
_ANSI = lazy(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]{0,200}(?:\x07|\x1b\\)|[@-Z\\^_=>()][0-9A-B]?)")
_LONG = 8192
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


def printed_lines(raw: bytes, first: int = 1) -> Iterator[Line]:
    """The lines of `raw` (numbered from `first`), prefixes stripped.

    A line in which another printk starts is split; the pieces of lines that a mail program wrapped are joined. Bytes
    that are no UTF-8 come out as U+FFFD. Linear in the length of `raw`.
    """
    pieces = raw.split(b"\n")
    if len(raw) < _MAIL_BYTES and _is_wrapped(pieces):
        yield from _unwrapped(pieces, first)
        return
    for number, piece in enumerate(pieces, first):
        yield from split_line(piece.decode("utf-8", "replace"), number)


_MAIL_BYTES = 1 << 20
_MAIL_WIDTH = 92
_WRAP = 66
"""Mail programs break lines at 72 columns or more; some count the quotes."""
_FIRST_WORDS = 40
_SHORT = 48
_BEGINS = lazy(
    r"(?:\? )?[\w.$]+\+0x|\[<?[0-9a-f]{8}|</?[A-Z]+>|[RE]?[A-Z]{2}[0-9X]?: |R\d\d: |[CDEF][RS]\d?: |CPU: |RIP"
    r"|Code: |Call |BUG|"
    r"WARNING|INFO|Oops|Modules linked|Hardware name|---\[|-{10}|===|Kernel |Read of|Write of|The buggy|Allocated"
    r"|Freed|#\d+: |task[:.]|PGD |Tainted|#PF|Workqueue|general prot|invalid op|x\d+: |[a-z]{2} : |pc |lr |sp |Stack"
    r"|KASAN|\w+ \(\S+:\d+\)|[\w.]+ \S+:\d+ \[inline\]|page|flags|raw|Memory state|[0-9a-f]{16}\b|$|other info"
    r"|stack backtrace|"
    r"PC is|LR is|\w+ ?: [0-9a-f]{8,16}\b|Krnl |NIP|LR |GPR|MSR|epc|Process |Flags: |Control: |Failing |AS:"
    r"|R:\d|Call|"
    r"Not tainted|\"echo|UBSAN|index |Kernel panic|Internal error|Unable to|list_|refcount_t|[A-Z]\w+ #\d|\(|\{|\*|<"
)


def _is_wrapped(pieces: list[bytes]) -> bool:
    """Whether all lines are as short as a mail program makes them, though an oops always has longer ones."""
    longest = 0
    for piece in pieces:
        size = len(piece)
        # a word that finds no room anywhere stays long: an address, a path
        if size > _MAIL_WIDTH and piece.rstrip().rfind(b" ", 4) > _FIRST_WORDS:
            return False
        longest = max(longest, min(size, _MAIL_WIDTH))
    return longest >= _SHORT


def _unwrapped(pieces: list[bytes], first: int) -> Iterator[Line]:
    """The lines, those joined that a mail program broke: it does so only where the next word found no room."""
    held: Line | None = None
    width = 0
    stamped = False
    for number, piece in enumerate(pieces, first):
        whole = piece.decode("utf-8", "replace").rstrip()
        bare = whole.lstrip(">| ")
        word = len(bare.split(" ", 1)[0])
        for line in split_line(whole, number):
            marked = line.time is not None or line.kernel is True
            starts = marked if stamped else bool(_BEGINS.match(line.text) or match_head(line.text))
            indented = not stamped and whole.startswith((" ", "\t"))
            goes_on = held is not None and not (stamped and marked) and _goes_on(held.text, line.text)
            full = not starts and not indented and width + word >= _WRAP
            if held and held.text and line.text and (goes_on or (full and _may_join(held.text, line.text))):
                held = held._replace(text=f"{held.text} {line.text}"[:_LONG])
                width = len(whole)
                continue
            if held is not None:
                yield held
            held, width, stamped = line, len(whole), marked
    if held is not None:
        yield held


_PLACE_MISSING = lazy(r"BUG: K\w+SAN: .* in$|.* at:(?: \[<[0-9a-f]{8,16}>\])?$|WARNING: .* at \S+:\d+$")
_PLACE = lazy(r"[\w.$]+(?:\+0x[0-9a-f]| \S+:\d+ \[inline\])")
_TAINT_OPEN = lazy(r".* (?:[Nn]ot(?: tainted)?|Tainted: [A-Z][A-Z -]{0,40})$")
_TAINT_REST = lazy(r"(?:tainted )?(?:[A-Z]{1,6} +){0,8}-* *\d{1,2}\.\d{1,3}")
_RULED = lazy(r"[-=*]{8,}$")
_RELEASE_LINE = lazy(r"\d{1,2}\.\d{1,3}\S* #\d")


def _goes_on(held: str, text: str) -> bool:
    """Whether a line lacks its end, whatever its length, and the next one is it."""
    if _PLACE_MISSING.match(held):
        return _PLACE.match(text) is not None
    return _TAINT_OPEN.match(held) is not None and _TAINT_REST.match(text) is not None


def _may_join(held: str, text: str) -> bool:
    """Whether two lines can be one: not behind a ruled line, not lockdep's line with the release."""
    return not (_RULED.match(held) or (_RELEASE_LINE.match(text) and not _TAINT_OPEN.match(held)))


def split_line(whole: str, number: int) -> Iterator[Line]:
    """The printed lines that one physical line holds: one, or more where a console lost the line ends."""
    if len(whole) > _LONG:
        whole = whole[:_LONG]
    if "\x1b" in whole:
        whole = _ANSI.sub("", whole)
    if "\r" in whole or "\x00" in whole:
        whole = whole.replace("\r", "").replace("\x00", "")
    if "\xa0" in whole:
        whole = whole.replace("\xa0", " ")
    text, time, caller, kernel, found = strip_prefixes(whole)
    start = 0
    for cut in _EMBEDDED.finditer(text):
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
