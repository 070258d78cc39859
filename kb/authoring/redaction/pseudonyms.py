"""Pseudonyms: the same thing gets the same name, of the same length wherever that is possible."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

KINDS: dict[str, tuple[str, ...]] = {
    "host": ("host-", "host", "h"),
    "domain": ("domain-", "dom-", "d"),
    "ipv4": ("ip-", "ip", "i"),
    "ipv6": ("ip6-", "ip6", "v"),
    "mac": ("mac-", "mac", "m"),
    "mail": ("mail-", "mail", "a"),
    "user": ("user-", "user", "u"),
    "path": ("path-", "path", "p"),
    "serial": ("serial-", "ser-", "s"),
    "uuid": ("uuid-", "uuid", "g"),
    "token": ("token-", "tok-", "t"),
    "word": ("word-", "word", "w"),
}
"""What is replaced, and how its pseudonyms begin: the first form that fits the length, the last one otherwise."""

_LIKE_OURS = re.compile(r"[a-z]{1,6}6?-?\d+")


class Pseudonyms:
    """Hands out pseudonyms and remembers what they stand for.

    Two spellings that differ in case are the same thing. A pseudonym is as long as what it replaces, by zeros before
    its number; where even the shortest form is longer than that, it is longer.
    """

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, str], int] = {}
        self._counts: dict[str, int] = {}
        self._originals: dict[str, str] = {}
        self._taken: set[str] = set()

    def avoid(self, text: str) -> None:
        """Give no name from now on that the text has for something of its own (a host may be called host-01)."""
        self._taken.update(_LIKE_OURS.findall(text))

    def of(self, kind: str, original: str) -> str:
        """The pseudonym of `original`, one of KINDS."""
        if original in self._originals:
            return original  # one of ours already
        key = (kind, original.casefold())
        number = self._numbers.get(key)
        if number is None:
            number = self._counts.get(kind, 0) + 1
            while _form(kind, number, len(original)) in self._taken:
                number += 1
            self._counts[kind] = number
            self._numbers[key] = number
        name = _form(kind, number, len(original))
        self._originals[name] = original
        return name

    @property
    def originals(self) -> Mapping[str, str]:
        """Pseudonym -> what it stands for, in the order of first use."""
        return self._originals

    @property
    def counts(self) -> dict[str, int]:
        """How many things of each kind were replaced."""
        found = dict.fromkeys(KINDS, 0)
        for kind, _ in self._numbers:
            found[kind] += 1
        return {kind: count for kind, count in found.items() if count}

    def to_json(self) -> str:
        """The map file's text: for those who have to read an answer about host-01 back."""
        found = {"schema": "kbmatch.redaction-map/1", "counts": self.counts, "names": self._originals}
        return json.dumps(found, indent=2)


def _form(kind: str, number: int, length: int) -> str:
    digits = str(number)
    for prefix in KINDS[kind]:
        if len(prefix) + len(digits) <= length:
            return prefix + digits.zfill(length - len(prefix))
    return KINDS[kind][-1] + digits
