"""What rules are looked up by: the keys of a crash's values, and those without which a leaf cannot be true.

A function's or a module's name is its own key. A kind is one only where it says by itself what happened: of the others
every crash would lead to every rule. The reason of a panic ("VFS: Unable to mount root fs on unknown-block(0,0)") has
names and numbers in it, so its first word and its first two words are the keys. Vendors put versions into the names of
modules (symev_rh_ES_6_2_6_32_431): what stands before the first "_" is a key, too.
"""

from __future__ import annotations

from collections.abc import Iterator

TELLING_KINDS = frozenset(("mce", "oom", "sysrq"))
"""Kinds that lead to rules: hardware, exhausted memory and a crash by hand are told by the kind alone."""


def value_keys(fact: str, value: object) -> Iterator[str]:
    """The keys of one value that a crash shows."""
    text = str(value)
    if fact == "kind":
        if text in TELLING_KINDS:
            yield text
    elif fact == "panic":
        words = text.split()
        if words:
            yield words[0]
        if len(words) > 1:
            yield " ".join(words[:2])
    elif fact == "culprit-module" and "_" in text[1:]:
        yield text
        yield text[: text.index("_", 1) + 1]
    elif text:  # no module is the kernel proper: too much to be looked up by
        yield text


def leaf_keys(fact: str, operator: str, values: tuple[int | str, ...]) -> frozenset[str]:
    """Keys of which a crash has one wherever the leaf is true; none where there are no such keys."""
    if operator == "is":
        found = [_demanded(fact, str(value), whole=True) for value in values]
    elif operator == "prefix" and fact == "panic":
        found = [_demanded(fact, str(values[0]), whole=False)]
    elif operator == "prefix" and fact == "culprit-module":
        first, mark, _ = str(values[0]).partition("_")
        found = [first + mark if first and mark else None]
    else:
        return frozenset()
    return frozenset(key for key in found if key is not None) if None not in found else frozenset()


def _demanded(fact: str, value: str, *, whole: bool) -> str | None:
    if fact == "kind":
        return value if value in TELLING_KINDS else None
    if fact != "panic":
        return value or None
    words = value.split()
    if not whole and not value[-1:].isspace():
        words = words[:-1]  # the last word may go on
    return " ".join(words[:2]) or None
