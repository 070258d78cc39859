"""Where in a text a crash may stand: a search for literals in the raw bytes, so that only what is near one is parsed.

Every report of heads.py has at least one trigger in its first lines: its head, its CPU line ("Not tainted",
"Tainted: "), or the panic that ends it. The search is done by the Rust aho-corasick crate (SIMD, many times grep's
speed) where its Python package is installed, else by one bytes.find pass for each literal.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

TRIGGERS: tuple[bytes, ...] = (
    b"BUG: ",
    b"ernel BUG ",
    b"ainted",
    b"not syncing",
    b"WARNING: ",
    b" [#",
    b"INFO: task",
    b"INFO: rcu",
    b"detected",
    b"oom-kill",
    b"ut of memory: ",
    b"result of limit",
    b"allocation failure",
    b"[Hardware Error]",
    b"Machine ",
    b"nable to handle",
    b"nternal error",
    b"PANIC",
    b"Vector: ",
    b"NMI: ",
    b"NMI received for",
    b" UE ",
    b"UBSAN: ",
    b"unreferenced object",
    b"LOCKUP",
    b"Trigger a crash",
    b"Linux version ",
)
BEFORE = 16 * 1024
"""Bytes before a trigger that are parsed too: a CPU line may follow a long module list."""
AFTER = 64 * 1024
"""Bytes after a trigger: the rest of the longest report. Its further CPU lines are triggers themselves."""


@lru_cache(maxsize=1)
def _automaton() -> Any | None:
    try:
        import ahocorasick_rs
    except ImportError:
        return None
    return ahocorasick_rs.BytesAhoCorasick(list(TRIGGERS), matchkind=ahocorasick_rs.MatchKind.LeftmostFirst)


def positions(data: bytes) -> list[int]:
    """The byte positions of all triggers in `data`, ascending."""
    automaton = _automaton()
    if automaton is not None:
        return [start for _, start, _ in automaton.find_matches_as_indexes(data)]
    return positions_by_find(data)


def positions_by_find(data: bytes, triggers: tuple[bytes, ...] = TRIGGERS) -> list[int]:
    """The same without the automaton, of any texts."""
    found: list[int] = []
    for trigger in triggers:
        at = data.find(trigger)
        while at >= 0:
            found.append(at)
            at = data.find(trigger, at + len(trigger))
    found.sort()
    return found


def regions(data: bytes, more: tuple[bytes, ...] = ()) -> list[tuple[int, int]]:
    """Half-open ranges of `data` around its triggers and `more` texts, at line ends, ascending and disjoint."""
    found: list[tuple[int, int]] = []
    places = positions(data)
    if more:
        places = sorted(places + positions_by_find(data, more))
    for at in places:
        if found and at + AFTER <= found[-1][1]:
            continue
        start, end = max(0, at - BEFORE), min(len(data), at + AFTER)
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], end)
        else:
            found.append((start, end))
    lined: list[tuple[int, int]] = []
    for start, end in found:
        first = data.rfind(b"\n", 0, start) + 1 if start else 0
        last = data.find(b"\n", end)
        last = len(data) if last < 0 else last + 1
        if lined and first <= lined[-1][1]:
            lined[-1] = (lined[-1][0], last)
        else:
            lined.append((first, last))
    return lined
