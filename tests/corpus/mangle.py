"""What happens to a crash report on its way: mails, trackers, terminals, people; functions of text and seed.

Sources: RFC 3676 (format=flowed), the habits of Thunderbird, mutt and Gmail (break at spaces only, quoted lines broken
again), GitHub and Bugzilla (fences, entities), util-linux dmesg (-T, -H), rsyslog and journalctl prefixes.
Each function is deterministic. `MANGLINGS` names them all.
"""

from __future__ import annotations

import html
import random
import re
from collections.abc import Callable, Iterator

_STAMP = re.compile(r"\[ *(\d+\.\d{6})\] ?")
_PROSE = (
    "Hello,",
    "we have seen this on two of our machines since the update, usually at night when the backup runs. It has",
    "never happened with the older kernel. Any idea what it could be?",
    "",
)
_REMARKS = (
    "I wonder about this one.",
    "This looks odd, the caller should hold a reference here.",
    "Right.",
    "See below.",
)


def stripped(text: str) -> str:
    """The text without its time stamps."""
    return "\n".join(_STAMP.sub("", line, count=1) if _STAMP.match(line) else line for line in text.split("\n"))


def prose_around(text: str) -> str:
    return "\n".join(_PROSE) + "\n" + text.rstrip("\n") + "\n\nThanks,\nA.\n"


def broken(line: str, width: int) -> Iterator[str]:
    """One line as a mail program breaks it: at spaces only, longer words stay whole."""
    rest = line
    while len(rest) > width:
        cut = rest.rfind(" ", 1, width + 1)
        if cut <= 0 or not rest[:cut].strip():
            cut = rest.find(" ", width)
            if cut < 0:
                break
        yield rest[:cut].rstrip()
        rest = rest[cut + 1 :].lstrip() if cut + 1 < len(rest) else ""
    yield rest


def wrap(text: str, width: int) -> str:
    return "\n".join(piece for line in text.split("\n") for piece in broken(line.rstrip(), width))


def quote(text: str, mark: str = "> ") -> str:
    return "\n".join((mark + line).rstrip() for line in text.split("\n"))


def wrapped(width: int) -> Callable[[str, int], str]:
    return lambda text, seed: wrap(prose_around(text), width)


def wrapped_bare(width: int) -> Callable[[str, int], str]:
    """Without time stamps, as dmesg -t or an old kernel printed it."""
    return lambda text, seed: wrap(prose_around(stripped(text)), width)


def wrapped_quoted(text: str, seed: int) -> str:
    return "On Tue, A wrote:\n" + quote(wrap(prose_around(text), 76))


def quoted_broken(text: str, seed: int) -> str:
    """Quoted first and broken then: what is left over stands without the mark."""
    return "On Tue, A wrote:\n" + wrap(quote(prose_around(text)), 76)


def quoted_rewrapped(text: str, seed: int) -> str:
    """Broken again by a reply that knows of quotes (Thunderbird's Rewrap leaves short lines as they are)."""
    once = wrap(prose_around(text), 78)
    lines = [f"> {piece}" for line in once.split("\n") for piece in broken(line, 72)]
    return "On Tue, A wrote:\n" + "\n".join(lines)


def wrapped_twice(text: str, seed: int) -> str:
    """The comb: a long line, the word or two that found no room, again and again."""
    once = quote(wrap(prose_around(text), 76), "> ")
    return "\n".join(
        f"> {piece}" if i else piece for line in once.split("\n") for i, piece in enumerate(broken(line, 74))
    )


def flowed(text: str, seed: int) -> str:
    """RFC 3676: a line that goes on ends in a space, what begins with a space or a mark is stuffed with one."""
    out = []
    for line in prose_around(text).split("\n"):
        pieces = list(broken(line.rstrip(), 72))
        for i, piece in enumerate(pieces):
            stuffed = " " + piece if piece.startswith((" ", ">", "From ")) else piece
            out.append(stuffed + (" " if i + 1 < len(pieces) else ""))
    return "\n".join(out)


def gmail(text: str, seed: int) -> str:
    """Tabs and runs of spaces end as no-break spaces, lines break at 78."""
    lines = []
    for line in prose_around(text).split("\n"):
        body = line.replace("\t", "    ")
        for piece in broken(body, 78):
            lead = len(piece) - len(piece.lstrip())
            lines.append("\xa0" * lead + re.sub("  +", lambda m: "\xa0" * (len(m[0]) - 1) + " ", piece.lstrip()))
    return "\n".join(lines)


def fenced(text: str, seed: int) -> str:
    return "Hello,\n```\n" + text.rstrip("\n") + "\n```\nbye\n"


def indented(text: str, seed: int) -> str:
    return "Hello\n\n" + quote(text, "    ") + "\n\nbye\n"


def entities(text: str, seed: int) -> str:
    return html.escape(prose_around(text))


def numeric_entities(text: str, seed: int) -> str:
    return prose_around(text).replace("&", "&#38;").replace("<", "&#60;").replace(">", "&#62;")


def web_page(text: str, seed: int) -> str:
    return "<html><body><p>It crashes:</p><pre>" + html.escape(text) + "</pre></body></html>"


def no_break_spaces(text: str, seed: int) -> str:
    return text.replace(" ", "\xa0")


def trimmed_left(text: str, seed: int) -> str:
    return "\n".join(line.lstrip() for line in text.split("\n"))


def squeezed(text: str, seed: int) -> str:
    """All runs of white space are one space, as HTML shows them."""
    return "\n".join(re.sub(r"[ \t]+", " ", line).strip() for line in text.split("\n"))


def tabs_added(text: str, seed: int) -> str:
    return quote(text, "\t")


def tabs_to_spaces(text: str, seed: int) -> str:
    return text.expandtabs(8)


def crlf(text: str, seed: int) -> str:
    return text.replace("\n", "\r\n")


def doubled_line_ends(text: str, seed: int) -> str:
    """An empty line behind each, as web forms make them."""
    return text.replace("\n", "\r\n\r\n")


def numbered(text: str, seed: int) -> str:
    return "\n".join(f"{i:5d}  {line}" for i, line in enumerate(text.split("\n"), 1))


def numbered_colon(text: str, seed: int) -> str:
    """As grep -n and less print them."""
    return "\n".join(f"{i}:{line}" for i, line in enumerate(text.split("\n"), 41))


def numbered_bar(text: str, seed: int) -> str:
    return "\n".join(f"{i:4d} | {line}" for i, line in enumerate(text.split("\n"), 1))


def _restamped(text: str, prefix: Callable[[int], str]) -> Iterator[str]:
    for i, line in enumerate(stripped(text).rstrip("\n").split("\n")):
        yield prefix(i) + line


def _clock(i: int) -> str:
    return f"10:{i // 60 % 60:02d}:{i % 60:02d}"


def dmesg_t(text: str, seed: int) -> str:
    return "\n".join(_restamped(text, lambda i: f"[Tue Nov 24 {_clock(i)} 2026] "))


def dmesg_t_wrapped(text: str, seed: int) -> str:
    return wrap(prose_around(dmesg_t(text, seed)), 76)


def dmesg_h(text: str, seed: int) -> str:
    return "\n".join(_restamped(text, lambda i: "[  +0.000012] " if i % 9 else "[Nov24 10:12] "))


def dmesg_h_wrapped(text: str, seed: int) -> str:
    return wrap(dmesg_h(text, seed), 76)


def syslog_wrapped(text: str, seed: int) -> str:
    lines = [f"Nov 24 {_clock(i)} host1 kernel: {line}" for i, line in enumerate(text.rstrip("\n").split("\n"))]
    return wrap(prose_around("\n".join(lines)), 76)


def journal_wrapped(text: str, seed: int) -> str:
    return wrap(
        prose_around("\n".join(_restamped(text, lambda i: f"Nov 24 {_clock(i)} db-7.example.org kernel: "))), 78
    )


def syslog_quoted_wrapped(text: str, seed: int) -> str:
    lines = _restamped(text, lambda i: f"Nov 24 {_clock(i)} host1 kernel: [  101.{i:06d}] ")
    return quote(wrap("\n".join(lines), 72))


def iso_wrapped(text: str, seed: int) -> str:
    lines = _restamped(text, lambda i: f"2026-11-24T{_clock(i)}.123456+01:00 host1 kernel: ")
    return wrap(prose_around("\n".join(lines)), 76)


def stamps_lost(text: str, seed: int) -> str:
    """On some lines only, as where a console program ate the beginnings."""
    dice = random.Random(seed)
    stamped = text if _STAMP.search(text) else "\n".join(_restamped(text, lambda i: f"[  101.{i:06d}] "))
    return "\n".join(_STAMP.sub("", line, count=1) if dice.random() < 0.3 else line for line in stamped.split("\n"))


def stamps_lost_wrapped(text: str, seed: int) -> str:
    return wrap(stamps_lost(text, seed), 76)


def prose_between(text: str, seed: int) -> str:
    """A sentence of the reporter's before the trace, another behind the module list."""
    lines = []
    for line in text.split("\n"):
        if "Call Trace:" in line or "Call trace:" in line:
            lines += ["", "and then it goes on with the trace:", ""]
        lines.append(line)
        if "Hardware name:" in line:
            lines += ["(this is a virtual machine, we also see it on bare metal)"]
    return "\n".join(lines)


def commented(text: str, seed: int) -> str:
    """A reply: the report quoted, remarks between its lines."""
    dice = random.Random(seed)
    lines = ["On Tue, A wrote:"]
    for line in text.split("\n"):
        lines.append("> " + line)
        if dice.random() < 0.08:
            lines += ["", dice.choice(_REMARKS), ""]
    return "\n".join(lines)


def commented_wrapped(text: str, seed: int) -> str:
    dice = random.Random(seed)
    lines = ["On Tue, A wrote:"]
    for line in text.split("\n"):
        lines += ["> " + piece for piece in broken(line, 74)]
        if dice.random() < 0.05:
            lines += ["", dice.choice(_REMARKS), ""]
    return "\n".join(lines)


def left_out(text: str, seed: int) -> str:
    """Gaps marked as people mark them: in place of the registers, the module list's rest and the trace's end."""
    dice = random.Random(seed)
    lines: list[str] = []
    frames = 0
    for line in text.split("\n"):
        bare = _STAMP.sub("", line, count=1).strip()
        if re.match(r"(?:R[A-D]X|RBP|R\d\d|FS|CS|RSP|RDX|CR2): ", bare):
            if not lines or lines[-1] != "[...]":
                lines.append("[...]")
            continue
        frames += "+0x" in bare and not bare.startswith(("?", "RIP", "WARN", "BUG"))
        if frames > 24 and "+0x" in bare:
            if not lines or not lines[-1].startswith(("<snip", "[", "...")):
                lines.append(dice.choice(["<snip>", "[ ... ]", "...", "[snip]"]))
            continue
        lines.append(line)
    return "\n".join(lines)


def by_hand(text: str, seed: int) -> str:
    """Typed from a photograph: no stamps, no registers, no uncertain frames, plain spaces."""
    out = []
    for line in stripped(text).split("\n"):
        bare = re.sub(r" +", " ", line.strip())
        if re.match(r"(?:R[A-D]X|RBP|R\d\d|FS|CS|RDX|CR2|Code|PKRU|PGD|DR\d)\b", bare) or bare.startswith("? "):
            continue
        out.append(re.sub(r"^\[<[0-9a-f]+>\] ", "", bare))
    return "\n".join(out)


def cut_at_80(text: str, seed: int) -> str:
    return "\n".join(line[:80] for line in text.split("\n"))


def twice_in_one(text: str, seed: int) -> str:
    """The same crash with and without stamps, as from dmesg and from the console, in one mail."""
    return prose_around(text) + "\n\nand the second machine:\n\n" + text


def doubled_lines(text: str, seed: int) -> str:
    """Console and syslog in one file: each line comes twice."""
    lines = text.rstrip("\n").split("\n")
    return "\n".join(f"{line}\nNov 24 {_clock(i)} host1 kernel: {line}" for i, line in enumerate(lines))


def utf16_le(text: str, seed: int) -> bytes:
    return b"\xff\xfe" + prose_around(text).encode("utf-16-le")


def utf16_bare(text: str, seed: int) -> bytes:
    return prose_around(text).encode("utf-16-le")


def utf16_be(text: str, seed: int) -> bytes:
    return b"\xfe\xff" + text.replace("\n", "\r\n").encode("utf-16-be")


def latin_1(text: str, seed: int) -> bytes:
    lines = text.rstrip("\n").split("\n")
    return ("Größe fällt überall auf\n" + "\n\xa0".join(lines) + "\nGrüße\n").encode("latin-1", "replace")


def utf8_mark(text: str, seed: int) -> bytes:
    return b"\xef\xbb\xbf" + text.encode()


def quoted_printable(text: str, seed: int) -> str:
    """A raw mail: RFC 2045 soft line breaks at 76, "=" as =3D."""
    import quopri

    return quopri.encodestring(prose_around(text).encode()).decode()


def printed_bar(text: str, seed: int) -> str:
    """Quoted with bars, as some trackers and chats do."""
    return quote(text, "| ")


def indented_wrapped(text: str, seed: int) -> str:
    """Indented by the reporter, then broken by the mail program: the rest stands at the margin."""
    return wrap("Hello,\n" + quote(text, "  ") + "\nbye", 76)


_WIDE = (
    "We have seen this on two of our machines since the update, usually at night when the backup runs, and I paste the "
    "report from the mail of my colleague below, because the machine has been rebooted since and its log is lost.\n\n"
)


def wide_prose(text: str, seed: int) -> str:
    """A tracker's entry: paragraphs in one long line each, the report as a mail had broken it."""
    return _WIDE + wrap(text.rstrip("\n"), 76) + "\n\n" + _WIDE


def wide_prose_bare(text: str, seed: int) -> str:
    return wide_prose(stripped(text), seed)


def wrapped_and_whole(text: str, seed: int) -> str:
    """The report as a mail broke it, then the attached log."""
    return wrap(prose_around(text), 76) + "\n\nand the whole log:\n\n" + text


def head_lost(text: str, seed: int) -> str:
    """The first two lines did not make it onto the screen."""
    return "\n".join(text.split("\n")[2:])


Mangling = Callable[[str, int], str | bytes]

MANGLINGS: dict[str, Mangling] = {
    "wrap-72": wrapped(72),
    "wrap-76": wrapped(76),
    "wrap-80": wrapped(80),
    "wrap-66-bare": wrapped_bare(66),
    "wrap-72-bare": wrapped_bare(72),
    "wrap-78-bare": wrapped_bare(78),
    "wrap-quoted": wrapped_quoted,
    "quoted-broken": quoted_broken,
    "quoted-rewrapped": quoted_rewrapped,
    "wrapped-twice": wrapped_twice,
    "flowed": flowed,
    "gmail": gmail,
    "indented-wrapped": indented_wrapped,
    "wide-prose": wide_prose,
    "wide-prose-bare": wide_prose_bare,
    "wrapped-and-whole": wrapped_and_whole,
    "head-lost": head_lost,
    "fenced": fenced,
    "indented": indented,
    "entities": entities,
    "numeric-entities": numeric_entities,
    "web-page": web_page,
    "no-break-spaces": no_break_spaces,
    "trimmed-left": trimmed_left,
    "squeezed": squeezed,
    "tabs-added": tabs_added,
    "tabs-to-spaces": tabs_to_spaces,
    "crlf": crlf,
    "doubled-line-ends": doubled_line_ends,
    "numbered": numbered,
    "numbered-colon": numbered_colon,
    "numbered-bar": numbered_bar,
    "bars": printed_bar,
    "dmesg-T": dmesg_t,
    "dmesg-T-wrapped": dmesg_t_wrapped,
    "dmesg-H": dmesg_h,
    "dmesg-H-wrapped": dmesg_h_wrapped,
    "syslog-wrapped": syslog_wrapped,
    "syslog-quoted-wrapped": syslog_quoted_wrapped,
    "journal-wrapped": journal_wrapped,
    "iso-wrapped": iso_wrapped,
    "stamps-lost": stamps_lost,
    "stamps-lost-wrapped": stamps_lost_wrapped,
    "prose-between": prose_between,
    "commented": commented,
    "commented-wrapped": commented_wrapped,
    "left-out": left_out,
    "by-hand": by_hand,
    "cut-at-80": cut_at_80,
    "two-in-one": twice_in_one,
    "doubled-lines": doubled_lines,
    "utf16-le": utf16_le,
    "utf16-bare": utf16_bare,
    "utf16-be": utf16_be,
    "latin-1": latin_1,
    "utf8-mark": utf8_mark,
    "quoted-printable": quoted_printable,
}


def mangled(name: str, text: str, seed: int = 0) -> bytes:
    """The bytes of `text` after the mangling of that name."""
    out = MANGLINGS[name](text, seed)
    return out if isinstance(out, bytes) else out.encode("utf-8", "replace")
