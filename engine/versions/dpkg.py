"""dpkg's order of versions: [epoch:]upstream[-revision].

Source: deb-version(7) and Debian Policy 5.6.12: from the left, the longest part without digits compares with
letters before other characters and "~" before everything, the end included; then the longest part of digits
as a number.
"""

from __future__ import annotations

from kbmatch.engine.patterns import lazy

_VALID = lazy(r"(?:[0-9]{1,9}:)?[0-9][A-Za-z0-9.+~-]*\Z")
_PART = lazy(r"([^0-9]*)([0-9]*)")


def is_valid(text: str) -> bool:
    """Whether `text` is a Debian version: it begins with a digit, and its revision, if any, is not empty."""
    return len(text) <= 256 and _VALID.match(text) is not None and not text.endswith("-")


def split(text: str) -> tuple[int, str, str]:
    """Return (epoch, upstream version, revision); the revision follows the last "-", "" without one."""
    epoch, colon, rest = text.partition(":")
    if not colon:
        epoch, rest = "0", text
    upstream, dash, revision = rest.rpartition("-")
    if not dash:
        upstream, revision = rest, ""
    return int(epoch), upstream, revision


def _letters(part: str) -> tuple[int, ...]:
    # The trailing 0 is the end of the part: after "~", before every other character.
    return (*(-1 if c == "~" else ord(c) if c.isalpha() else ord(c) + 256 for c in part), 0)


def part_key(text: str) -> tuple[tuple[tuple[int, ...], int], ...]:
    """Return a key by which upstream versions (or revisions) sort as dpkg sorts them."""
    pairs = [(_letters(m[1]), int(m[2] or 0)) for m in _PART.finditer(text) if m[0]]
    # A version that ends compares as if empty letters and a zero followed, so that "1.0" equals "1.".
    while pairs and pairs[-1] == ((0,), 0):
        pairs.pop()
    return (*pairs, ((0,), 0))


def _parts(a: str, b: str) -> int:
    left, right = part_key(a), part_key(b)
    for i in range(max(len(left), len(right))):
        x = left[i] if i < len(left) else ((0,), 0)
        y = right[i] if i < len(right) else ((0,), 0)
        if x != y:
            return 1 if x > y else -1
    return 0


def compare(a: str, b: str) -> int:
    """Compare two valid Debian versions: -1, 0 or 1."""
    epoch_a, upstream_a, revision_a = split(a)
    epoch_b, upstream_b, revision_b = split(b)
    if epoch_a != epoch_b:
        return 1 if epoch_a > epoch_b else -1
    return _parts(upstream_a, upstream_b) or _parts(revision_a, revision_b)
