"""The printed lines of a plain text, those put together again that a mail program or a terminal broke.

Two kinds of evidence: a line that lacks its end before one that is such an end (rests.py), which counts in every text;
and the widths, which count only where the whole text is as narrow as mail programs make it, since they break a line
only where its next word found no room.
"""

from __future__ import annotations

from collections.abc import Iterator

from kbmatch.collectors.logs.heads import match_head
from kbmatch.collectors.logs.lines import LONG, Line, split_line
from kbmatch.collectors.logs.rests import is_rest
from kbmatch.engine.patterns import lazy

_MAIL_BYTES = 1 << 20
"""Longer texts are logs as some program wrote them: nobody mails them."""
_MAIL_WIDTH = 92
_WRAP = 66
"""Mail programs break lines at 72 columns or more; some count the quotes."""
_BROKEN_ONCE = 82
"""What a reply broke again was at most so wide before, with its quote: the next word found no room there."""
_FIRST_WORDS = 40
_SHORT = 48
_QUOTE = lazy(r"(?:\s*[>|])+ ?")
_DATED = lazy(
    r"\s*(?:\[[A-Z][a-z]{2}\w* |\[ *\+ *\d|\d{4}-\d\d-\d\d[T ]\d|[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d "
    r"|\[ *\d+\.\d+\]|<\d)"
)
_STARTS = lazy(
    r"(?:\? )?[\w.$]+\+0x|\[<?[0-9a-f]{8}|</?[A-Z]+>|[RE]?[A-Z]{2}[0-9X]?: |R\d\d: |[CDEF][RS]\d?: |CPU: |RIP"
    r"|Pid: |Instruction dump|Mem abort|Data abort|ESR|Code: |Call |BUG"
    r"|WARNING|INFO|Oops|Modules linked|Hardware name|---\[|-{10}|===|Read of|Write of|The buggy"
    r"|Allocated|Freed|#\d+: |task[:.]|PGD |#PF|Workqueue|general prot|invalid op|x\d+: |[a-z]{2} : |pc |lr |sp |Stack"
    r"|KASAN|\w+ \(\S+:\d+(?:[ )]|$)|\.\.|\[ ?(?:\.\.|snip)|<snip"
    r"|[\w.]+ \S+:\d+ \[inline\]|Memory state|$|other info|stack backtrace|"
    r"PC is|LR is|\w+ ?: [0-9a-f]{8,16}\b|Krnl |NIP|LR |GPR|MSR|epc|Flags: |Control: |Failing |AS:"
    r"|R:\d|Not tainted|\"echo|UBSAN|Kernel panic|Internal error|Unable to|refcount_t|irq event stamp|softirqs|hardirqs"
)
_MAY_START = lazy(r"Kernel |Tainted|page|flags|raw|[0-9a-f]{16}\b|Process |index |list_|[A-Z]\w+ #\d|\(|\{|\*|<")
"""Beginnings of kernel lines that are middles of others as well."""
_RULED = lazy(r"[-=*]{8,}$")
_RELEASE_LINE = lazy(r"\d{1,2}\.\d{1,3}\S* #\d")


def printed_lines(raw: bytes, first: int = 1) -> Iterator[Line]:
    """The lines of `raw` (numbered from `first`), prefixes stripped.

    A line in which another printk starts is split; the pieces of lines that a mail program wrapped are joined. Bytes
    that are no UTF-8 come out as U+FFFD. Linear in the length of `raw`.
    """
    pieces = raw.split(b"\n")
    if len(raw) >= _MAIL_BYTES:
        for number, piece in enumerate(pieces, first):
            yield from split_line(piece.decode("utf-8", "replace"), number)
        return
    lines = _unwrapped(pieces, first) if _is_wrapped(pieces) else _completed(pieces, first)
    cut = _cut_width(pieces)
    yield from _without_torn(lines, pieces, first, cut) if cut else lines


def _cut_width(pieces: list[bytes]) -> int:
    """The width at which a terminal cut the lines, 0 where none did: several are then just as long as the longest."""
    sizes = list(map(len, pieces))
    longest = max(sizes)
    needed = 1 if longest == _TERMINAL else 2
    if not _SHORT < longest < _LONG_TERMINAL or sizes.count(longest) < needed:
        return 0
    found = {piece for piece in pieces if len(piece) == longest and not _RULED_BYTES.search(piece)}
    return longest if len(found) >= needed else 0


def _without_torn(lines: Iterator[Line], pieces: list[bytes], first: int, cut: int) -> Iterator[Line]:
    """The lines; without the release where the cut may have gone through it: a half one is another kernel's."""
    for line in lines:
        text = line.text
        if "ainted" in text and "#" not in text:
            piece = pieces[line.number - first]
            if len(piece) == cut and piece.rstrip().endswith(text[-8:].encode()):
                line = line._replace(text=_RELEASE_TORN.sub("", text))  # noqa: PLW2901
        yield line


_TERMINAL = 80
_LONG_TERMINAL = 260
_RULED_BYTES = lazy(rb"[-=*]{20}")
_RELEASE_TORN = lazy(r" \(?\d+\.?[\w.+~-]{0,120}(?<!\+)$")
"""A plus sign ends a release: it marks changes that were not committed."""


def _is_wrapped(pieces: list[bytes]) -> bool:
    """Whether all lines are as short as a mail program makes them, though an oops always has longer ones.

    Paragraphs that a tracker keeps in one line each do not count.
    """
    longest = 0
    for piece in pieces:
        size = len(piece)
        # a word that finds no room anywhere stays long: an address, a path
        if size > _MAIL_WIDTH and piece.rstrip().rfind(b" ", 4) > _FIRST_WORDS:
            if not _is_prose(piece):
                return False
            continue
        longest = max(longest, min(size, _MAIL_WIDTH))
    return longest >= _SHORT


_SENTENCE = lazy(rb"[>| \t]{0,16}(?:[-*] |\d\. )?[A-Za-z\"'(`][A-Za-z']*,? [\w\"'(`]")
_NO_SENTENCE = lazy(rb"0x|\[ *\d+\.\d|[0-9a-f]{8}|Code: |Modules |Hardware |Linux version|ommand line|kernel:|\w\(\)|=")


def _is_prose(piece: bytes) -> bool:
    """Whether a line reads like a sentence: words of the common length, nothing that machines print."""
    spaces = piece.count(b" ")
    return len(piece) < spaces * 9 and _SENTENCE.match(piece) is not None and _NO_SENTENCE.search(piece) is None


def _completed(pieces: list[bytes], first: int) -> Iterator[Line]:
    """The lines of a text that is wide enough; those joined that lack their end all the same, and none twice that two
    programs wrote into one file.
    """
    held: Line | None = None
    before = ""
    for number, piece in enumerate(pieces, first):
        whole = piece.decode("utf-8", "replace")
        for line in split_line(whole, number):
            if held is not None:
                text = line.text
                if text and held.text:
                    if text == held.text and len(before) != len(whole) and _is_twice(held, line):
                        continue
                    if line.time is None and not line.kernel and is_rest(held.text, text):
                        held = _joined(held, text)
                        continue
                yield held
            held, before = line, whole
    if held is not None:
        yield held


def _is_twice(one: Line, other: Line) -> bool:
    """Whether two lines that say the same behind different prefixes are one record: of the console and of a logger.

    Recursion prints frames twice too, but each behind the same prefix or at another time.
    """
    if one.time is not None and other.time is not None:
        return one.time == other.time
    return (one.time is None and one.kernel is True) or (other.time is None and other.kernel is True)


def _joined(held: Line, text: str) -> Line:
    return held._replace(text=f"{held.text} {text}"[:LONG])


def _unwrapped(pieces: list[bytes], first: int) -> Iterator[Line]:
    """The lines, those joined that a mail program broke: it does so only where the next word found no room."""
    held: Line | None = None
    width = 0
    stamped = False
    steady = _is_steady(pieces)
    for number, piece in enumerate(pieces, first):
        whole = piece.decode("utf-8", "replace").rstrip()
        quote = _QUOTE.match(whole)
        bare = whole[quote.end() :] if quote else whole
        for line in split_line(whole if bare else "", number):
            text = line.text
            marked = (
                line.time is not None
                or line.caller is not None
                or line.kernel is True
                or _DATED.match(bare) is not None
            )
            if held is not None and held.text and text and not marked:
                full = width + len(text.split(" ", 1)[0]) >= _WRAP
                if is_rest(held.text, text) or (
                    full and ((stamped and steady) or not _begins(text, bare, stamped)) and not _RULED.match(held.text)
                    and not _RELEASE_LINE.match(text)
                ):  # fmt: skip
                    both = width + 1 + len(bare)
                    width = both if both <= _BROKEN_ONCE else len(whole)
                    held = _joined(held, text)
                    continue
            if held is not None:
                yield held
            held, width, stamped = line, len(whole), marked
    if held is not None:
        yield held


def _is_steady(pieces: list[bytes]) -> bool:
    """Whether what has a stamp goes on in all lines without one: none of these is a line that had found room above."""
    before = longest = 0
    lost: list[int] = []
    for piece in pieces:
        size = len(piece)
        longest = max(longest, min(size, _MAIL_WIDTH))
        found = _WHOLE.match(piece)
        if found:
            word = piece.find(b" ", found.end() - 1)
            lost.append(before + 1 + (word if word > 0 else size))
        before = size
    return not any(together <= longest for together in lost)


_WHOLE = lazy(
    rb"[>| \t]*(?:(?:\[<[0-9a-f]+>\] )?(?:\? )?[A-Za-z_][\w.]*\+0x[0-9a-f]+/0x|Call [Tt]race:|CPU: \d+ |</?[A-Z]+>"
    rb"|Modules linked in:|[DE]?R[\dA-Z]{1,2}: |RIP: |Code: |Hardware name: |---\[ "
    rb"|NIP |LR |MSR: |CFAR|GPR|PC is|Krnl |[a-z]{2,3} : )"
)
"""Beginnings of lines that are whole where the line before had room for them."""


def _begins(text: str, bare: str, stamped: bool) -> bool:
    """Whether a line without a stamp is one of its own; `stamped`: the line before has one."""
    if _STARTS.match(text):
        return True
    if not stamped and (bare.startswith((" ", "\t")) or _MAY_START.match(text)):
        return True
    return match_head(text) is not None
