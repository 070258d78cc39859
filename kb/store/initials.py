"""Splits many regular expressions for names by the letter that a name begins with.

Compiling the whole table of helper functions takes 12 ms, more than most diagnoses may; the few names of one crash need
a few of its expressions only.
"""

from __future__ import annotations

from collections.abc import Iterable
from re import _parser  # type: ignore[attr-defined]
from typing import Any

LETTERS = "_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789."


def split_by_initial(expressions: Iterable[str]) -> dict[str, str]:
    """Initial letter -> one expression of all that can match a name with it; letters without any are left out."""
    found: dict[str, list[str]] = {}
    for expression in expressions:
        initials, _ = _first(list(_parser.parse(expression)))
        for letter in LETTERS if initials is None else sorted(initials):
            found.setdefault(letter, []).append(f"(?:{expression})")
    return {letter: "|".join(parts) for letter, parts in found.items()}


def _first(items: list[Any]) -> tuple[set[str] | None, bool]:
    """The letters that a match can begin with (None: any), and whether it can be empty."""
    letters: set[str] = set()
    for op, argument in items:
        own, empty = _first_of(str(op), argument)
        if own is None:
            return None, empty
        letters |= own
        if not empty:
            return letters, False
    return letters, True


def _first_of(op: str, argument: Any) -> tuple[set[str] | None, bool]:
    if op == "LITERAL":
        return {chr(argument)}, False
    if op == "SUBPATTERN":
        return _first(list(argument[3]))
    if op == "BRANCH":
        branches = [_first(list(branch)) for branch in argument[1]]
        known = [letters for letters, _ in branches if letters is not None]
        letters = set().union(*known) if len(known) == len(branches) else None
        return letters, any(empty for _, empty in branches)
    if op in ("MAX_REPEAT", "MIN_REPEAT"):
        letters, empty = _first(list(argument[2]))
        return letters, empty or argument[0] == 0
    if op == "IN" and all(str(kind) in ("LITERAL", "RANGE") for kind, _ in argument):
        found: set[str] = set()
        for kind, value in argument:
            low, high = (value, value) if str(kind) == "LITERAL" else value
            found.update(chr(code) for code in range(low, high + 1))
        return found, False
    return None, op == "AT"
