"""rpm's order of versions: [epoch:]version[-release].

Source: rpm's own documentation, docs/man/rpm-version.7 and docs/manual/dependencies.md, and the table of its
test suite, tests/rpmvercmp.at (4.18): segments of digits compare as numbers, of letters by ASCII, digits are
newer than letters, "~" sorts before anything, even the end, "^" after the end but before anything else.
"""

from __future__ import annotations

from kbmatch.engine.patterns import lazy

_VALID = lazy(r"(?:[0-9]{1,9}:)?[A-Za-z0-9._+~^]+(?:-[A-Za-z0-9._+~^]+)?\Z")
_TOKEN = lazy(r"[0-9]+|[A-Za-z]+|~|\^")
_END = ""


def is_valid(text: str) -> bool:
    """Whether `text` can stand as [epoch:]version[-release] and holds at least one digit."""
    return len(text) <= 256 and _VALID.match(text) is not None and any(c in "0123456789" for c in text)


def split(text: str) -> tuple[int, str, str]:
    """Return (epoch, version, release); a missing epoch is 0, a missing release "" (older than any other)."""
    epoch, colon, rest = text.partition(":")
    if not colon:
        epoch, rest = "0", text
    version, _, release = rest.partition("-")
    return int(epoch), version, release


def _numbers(a: str, b: str) -> int:
    a, b = a.lstrip("0"), b.lstrip("0")
    return (len(a) > len(b)) - (len(a) < len(b)) or (a > b) - (a < b)


def vercmp(a: str, b: str) -> int:
    """Compare two versions or two releases (rpmvercmp): -1, 0 or 1. All other characters only separate."""
    if a == b:
        return 0
    left, right = _TOKEN.findall(a), _TOKEN.findall(b)
    for i in range(max(len(left), len(right))):
        x = left[i] if i < len(left) else _END
        y = right[i] if i < len(right) else _END
        if x == y:
            continue
        if "~" in (x, y):
            return -1 if x == "~" else 1
        if _END in (x, y):
            # One has ended: the other is newer, with whatever it goes on, "^" included.
            return -1 if x == _END else 1
        if "^" in (x, y):
            return -1 if x == "^" else 1
        if x.isdigit() and y.isdigit():
            order = _numbers(x, y)
            if order:
                return order
        elif x.isdigit() != y.isdigit():
            return 1 if x.isdigit() else -1
        else:
            return 1 if x > y else -1
    return 0


def compare(a: str, b: str) -> int:
    """Compare two valid [epoch:]version[-release] strings: -1, 0 or 1."""
    epoch_a, version_a, release_a = split(a)
    epoch_b, version_b, release_b = split(b)
    if epoch_a != epoch_b:
        return 1 if epoch_a > epoch_b else -1
    return vercmp(version_a, version_b) or vercmp(release_a, release_b)
