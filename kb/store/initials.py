"""Splits many regular expressions for names by the letters that a name begins with.

Compiling the whole table of helper functions takes 20 ms, more than most diagnoses may; the few names of one crash need
a few of its alternatives only.
"""

from __future__ import annotations

from collections.abc import Iterable
from re import _parser  # type: ignore[attr-defined]
from typing import Any

LETTERS = "_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789."
LENGTH = 3
"""Letters that are told apart at most. HelperFrames.is_helper looks up as many."""
_MANY = 64

_Beginnings = set[tuple[str, bool]]
"""What a match can begin with: letters, and whether anything may follow them (else they are the whole match so far)."""
_ANYTHING: _Beginnings = {("", True)}


def split_by_initial(expressions: Iterable[str]) -> dict[str, str]:
    """The first letters of names (none to three) -> one expression of all alternatives that can match such a name.

    A name is matched by the whole of `expressions` exactly if one of the values under its first three, two, one and
    no letters matches it.
    """
    found: dict[str, dict[str, None]] = {}
    for expression in expressions:
        for alternative in _alternatives(expression):
            beginnings = _sequence(list(_parser.parse(alternative)))
            keys = {text[:LENGTH] for text, _ in beginnings}
            for key in sorted(keys):  # in the same order each time: builds can be compared
                if not any(key[:i] in keys for i in range(len(key))):
                    found.setdefault(key, {})[f"(?:{alternative})"] = None
    return {key: "|".join(parts) for key, parts in found.items()}


def _alternatives(expression: str) -> list[str]:
    """The parts of an expression between the "|" that stand in no parentheses and no brackets."""
    parts, depth, start, at = [], 0, 0, 0
    bracket = False
    while at < len(expression):
        letter = expression[at]
        if letter == "\\":
            at += 1
        elif bracket:
            bracket = letter != "]"
        elif letter == "[":
            bracket = True
            at += expression[at + 1 : at + 2] in ("]", "^")
        elif letter in "()":
            depth += 1 if letter == "(" else -1
        elif letter == "|" and depth == 0:
            parts.append(expression[start:at])
            start = at + 1
        at += 1
    return [*parts, expression[start:]]


def _sequence(items: list[Any]) -> _Beginnings:
    done: _Beginnings = set()
    growing = {""}
    for op, argument in items:
        following = _one(str(op), argument)
        grown: set[str] = set()
        for text in growing:
            for more, goes_on in following:
                whole = text + more
                if goes_on or len(whole) >= LENGTH:
                    done.add((whole[:LENGTH], True))
                else:
                    grown.add(whole)
        growing = grown
        if len(growing) + len(done) > _MANY:
            return _ANYTHING
        if not growing:
            break
    return done | {(text, False) for text in growing}


def _one(op: str, argument: Any) -> _Beginnings:
    if op == "LITERAL":
        return {(chr(argument), False)}
    if op == "AT":
        return {("", False)}
    if op == "SUBPATTERN":
        return _sequence(list(argument[3]))
    if op == "BRANCH":
        return set().union(*(_sequence(list(branch)) for branch in argument[1]))
    if op in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
        least, most, repeated = argument
        once = _sequence(list(repeated))
        if int(most) > 1:
            once = {(text, True) for text, _ in once}
        return once | ({("", False)} if least == 0 else set())
    if op == "IN" and len(argument) <= 4 and all(str(kind) == "LITERAL" for kind, _ in argument):
        return {(chr(value), False) for _, value in argument}
    return _ANYTHING
