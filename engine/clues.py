"""Clues beside the crash itself: fixes that the input names, and the board that it happened on.

People write beside a log what they suspect: a commit, its subject line, a CVE id. A board stands for its drivers and
firmware. Neither is evidence: they lead to weak candidates (engine/weak.py) and never to an answer.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from kbmatch.engine.patterns import lazy

MAX_LINES = 20_000
MAX_BYTES = 2 << 20
"""A ticket or a mail is short; in a console's archive nobody named a fix."""
MAX_CLUES = 200
_LONG = 400
_COMMIT = lazy(r"(?<![0-9a-zA-Z_+-])(?:[0-9a-f]{12,15}|[0-9a-f]{40})(?![0-9a-zA-Z_])")
"""Not 16 digits: those are addresses."""
_CVE = lazy(r"\bCVE-[12][0-9]{3}-[0-9]{4,7}\b")
_SUBJECT = lazy(
    r"[>|\s]{0,40}(?:Subject:\s+)?(?:(?:Re|RE|Fwd): ){0,3}(?:\[[^\]]{1,60}\]\s*){0,3}"
    r"(?:(?:commit |Fixes: )?[0-9a-f]{7,40},? \(?)?[\"'(]{0,3}"
    r"(?P<title>[A-Za-z][\w./+-]{1,40}(?:: |, |/)[^\"]{8,120}?)[\"')\s.]{0,6}$"
)
_VIRTUAL = lazy(
    r"QEMU|KVM|VMware|Bochs|Google|Xen|Amazon|[Vv]irt|innotek|OpenStack|Alibaba|BHYVE|ARMLinux|Standard PC|Cloud|Hyper|"
    r"Parallels|emulated|Generic DT|redacted|To [Bb]e [Ff]illed|System manufacturer|System Product"
)


_FIRMWARE = lazy(r",? BIOS\b| \((?:raw|architected)\)| 0x[0-9a-f]")
"""What follows the board: its firmware, a processor's version (POWER)."""


def normal_title(text: str) -> str:
    """A subject line as it is compared: small letters, single blanks."""
    return " ".join(text.lower().split()).strip(" .")


def board_of(hardware: str | None) -> str | None:
    """The board behind "Hardware name:", without its firmware; None for virtual machines and names that say nothing."""
    if not hardware or _VIRTUAL.search(hardware[:200]):
        return None
    board = " ".join(_FIRMWARE.split(hardware[:200])[0].split())
    return board if len(board) > 5 and any(c.isdigit() for c in board) else None


def named_fixes(lines: Iterable[str]) -> dict[str, int]:
    """Commit ids (12 digits), CVE ids (capitals) and subject lines (`normal_title`) -> the line (1-based) first met."""
    found: dict[str, int] = {}
    for number, line in enumerate(islice(lines, MAX_LINES), 1):
        if len(found) >= MAX_CLUES:
            break
        text = line[:_LONG]
        for match in _COMMIT.finditer(text):
            if not match[0].isdigit() and not match[0].isalpha():
                found.setdefault(match[0][:12], number)
        for match in _CVE.finditer(text):
            found.setdefault(match[0], number)
        subject = _SUBJECT.match(text) if ": " in text else None
        if subject:
            found.setdefault(normal_title(subject["title"]), number)
    return found
