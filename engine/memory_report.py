"""What the report of an OOM says of memory (mm/show_mem.c; before 6.5 mm/page_alloc.c and lib/show_mem.c)."""

from __future__ import annotations

import re
from collections.abc import Iterable

from kbmatch.engine.patterns import lazy

_SLAB = lazy(r"\bslab_unreclaimable:(\d{1,15})(?![\dk])")
_RAM = lazy(r"(?:^|\s)(\d{1,15}) pages RAM$")


def unreclaimable_percent(lines: Iterable[str]) -> int | None:
    """How much of all memory the kernel's own slab holds that cannot be reclaimed, in percent, rounded down.

    None where a report does not tell both. The machine's line counts in pages, those of nodes and zones in kB.
    """
    slab: int | None = None
    pages: int | None = None
    for line in lines:
        if slab is None and "slab_unreclaimable:" in line:
            slab = _number(_SLAB.search(line))
        elif "pages RAM" in line:
            pages = _number(_RAM.search(line))
    return None if slab is None or not pages else min(100, slab * 100 // pages)


def _number(match: re.Match[str] | None) -> int | None:
    return None if match is None else int(match[1])
