"""Whether a text is a secret: by the word before it, or because it looks drawn at random."""

from __future__ import annotations

import math
import re
from collections import Counter

_BARE_KEY = re.compile(r"(?<![A-Za-z])(?:key|pin|sig|sas|community|cookie)[\"']?(?: is)?\s?[=:]\s?$", re.IGNORECASE)
_HARMLESS = re.compile(
    r"(?:0x)?[0-9a-fA-F]{1,8}$|\d+$|(?:0x)?0+$|(?:true|false|yes|no|none|null|on|off|unknown|present|missing|required|"
    r"invalid|expired|failed|denied|accepted|enabled|disabled|\(?null\)?|not|is|for|and|the|been|of|module|signing|rejected|"
    r"[*x.]+)$",
    re.IGNORECASE,
)
_KERNEL_VALUE = re.compile(r"[0-9a-f]{16}$|[\w.]+\+0x[0-9a-f]+")


def is_token_after(before: str, value: str) -> bool:
    """Whether the value behind a word like password= is a secret, and not what the kernel says about one."""
    bare = value.strip("\"'.,;)")
    if not bare or (_HARMLESS.fullmatch(bare) and not re.search("pass|pwd|pin|psk", before, re.IGNORECASE)):
        return False
    if re.fullmatch(r"(?:is|for|not|has|was|the|true|false|none|null|unknown|expired|failed|module)", bare):
        return False
    if _BARE_KEY.search(before):
        # "key: <words>" is prose, "(key = 0x...)" of the kernel's hash tables too
        return "=" in before and not _KERNEL_VALUE.match(bare) and len(bare) >= 6
    return not _KERNEL_VALUE.match(bare) or "=" in before


def is_opaque(value: str) -> bool:
    """Whether a long word looks drawn at random: capitals, small letters and digits mixed without a system.

    Kernel symbols, mangled names, paths, versions and hexadecimal words are none.
    """
    if "+0x" in value or value.startswith(("_R", "_Z", "__", "0x")) or value.count("_") > 3 or value.count("/") > 2:
        return False
    if "-" in value and re.fullmatch(r"(?:[A-Za-z]+|\d+|[\d.]+|[A-Z]?[a-z]+\d*)(?:[-_](?:[A-Za-z]+\d*|\d+))*", value):
        return False
    digits = sum(c.isdigit() for c in value)
    upper = sum(c.isupper() for c in value)
    lower = sum(c.islower() for c in value)
    long = len(value) >= 32 and upper >= 8 and lower >= 8
    if not (upper >= 3 and lower >= 3 and digits >= (1 if long else 2)):
        return False
    counts = Counter(value)
    entropy = -sum(n / len(value) * math.log2(n / len(value)) for n in counts.values())
    return entropy >= 3.4
