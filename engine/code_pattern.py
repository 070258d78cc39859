"""Patterns over the bytes of an oops's Code: line: hex bytes, ?? for any byte, <..> around the one that faulted.

    41 0f b7 54 24 02 98 01 d0 3d 00 10 00 00 0f 87 ?? ?? ?? ?? <8b> 7b 2c 85 ff

What such a pattern names is one piece of compiled code, so that registers mean what the disassembly says.
"""

from __future__ import annotations

import re
from functools import lru_cache

from kbmatch.engine.values import dataclass

MIN_KNOWN = 24
"""Bytes that a pattern must fix before registers may be read by it (DESIGN.md, "Rules")."""

_PATTERN = re.compile(r"(?:(?:[0-9a-f]{2}|\?\?) )*<[0-9a-f]{2}>(?: (?:[0-9a-f]{2}|\?\?))*")
_LINE = re.compile(r"(?P<before>(?:[0-9a-f]{2} )*)<(?P<at>[0-9a-f]{2})>(?P<after>(?: [0-9a-f]{2})*)")
MAX_LENGTH = 600


@dataclass(frozen=True, slots=True)
class CodePattern:
    """`before` and `after` are the bytes around the faulting one, which is `after`'s first; None is any byte."""

    before: tuple[int | None, ...]
    after: tuple[int | None, ...]

    @property
    def known(self) -> int:
        """How many bytes are fixed."""
        return sum(byte is not None for byte in (*self.before, *self.after))

    def matches(self, code: str) -> bool | None:
        """Whether a Code: line fits; None if it is shorter than the pattern or has no mark."""
        found = _LINE.search(code.lower())
        if found is None:
            return None
        before = bytes.fromhex(found["before"])
        after = bytes.fromhex(found["at"] + found["after"])
        pairs = [*zip(reversed(self.before), reversed(before), strict=False), *zip(self.after, after, strict=False)]
        if any(wanted is not None and wanted != byte for wanted, byte in pairs):
            return False
        return None if len(self.before) > len(before) or len(self.after) > len(after) else True


@lru_cache(maxsize=256)
def parse_code_pattern(text: str) -> CodePattern:
    """The pattern. Raises ValueError with what is wrong."""
    folded = " ".join(text.lower().split())
    if len(folded) > MAX_LENGTH or not _PATTERN.fullmatch(folded):
        raise ValueError("write hex bytes, ?? for any byte, and <8b> around the one that faulted")
    before, after = folded.split("<")
    return CodePattern(_bytes(before), _bytes(after.replace(">", "")))


def _bytes(text: str) -> tuple[int | None, ...]:
    return tuple(None if item == "??" else int(item, 16) for item in text.split())
