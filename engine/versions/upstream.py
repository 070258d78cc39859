"""Upstream kernel versions: 6.1.27, 6.10.0-rc4, 6.12.0-rc1-00027-g4a9fe2a8ac53, 6.15.0-next-20250530, 5.0.0+.

The forms are those that the kernel's own build prints (Makefile's KERNELRELEASE, scripts/setlocalversion
6.8): "-rcN" from EXTRAVERSION, "-next-DATE" from linux-next's localversion-next, "-NNNNN-gHASH", "-dirty" and
"+" for commits on top of a tag. syzkaller's configurations add "-syzkaller", -rt patches "-rtN", which carry
no order.
"""

from __future__ import annotations

from kbmatch.engine.patterns import lazy
from kbmatch.engine.values import dataclass

_RELEASE = lazy(
    r"(?P<numbers>[0-9]{1,4}\.[0-9]{1,4}(?:\.[0-9]{1,5}){0,2})"
    r"(?:-rc(?P<rc>[0-9]{1,3}))?"
    r"(?P<snapshot>(?:-(?:syzkaller|rt[0-9]{1,4}|next-[0-9]{8}|[0-9]{5,6}-g[0-9a-f]{6,40}|g[0-9a-f]{6,40}|dirty)){0,6}\+?)"
    r"\Z"
)
_NEXT = lazy(r"-next-([0-9]{8})")
_COUNT = lazy(r"-([0-9]{5,6})-g[0-9a-f]")
_MARK = lazy(r"-g[0-9a-f]{6}|-dirty|\+\Z")

_FINAL = 1 << 20
"""Stands for "no rc": after every rc of the same number."""

_LAST_MINOR = {3: 19, 4: 20, 5: 19, 6: 19}
"""The last minor number of each major series (3.19 -> 4.0, 4.20 -> 5.0, 5.19 -> 6.0, 6.19 -> 7.0)."""


@dataclass(frozen=True, slots=True, order=True)
class UpstreamVersion:
    """A parsed upstream version; sorts in the order of the releases.

    `numbers` has four parts, missing ones 0. `rc` is `_FINAL` without one. `snapshot` is (0, 0) for a tagged
    release, (1, commits on top, 0 if not told) for a git tree, (2, date) for linux-next.
    """

    numbers: tuple[int, int, int, int]
    rc: int
    snapshot: tuple[int, int]

    @property
    def branch(self) -> str:
        """The stable branch: "6.1"; of the 2.6 series the third number too: "2.6.32"."""
        return ".".join(str(n) for n in self.numbers[: 3 if self.numbers[0] < 3 else 2])

    @property
    def is_stable(self) -> bool:
        """Whether this is (or is built on) a point release of a branch, such as 6.1.27."""
        return any(self.numbers[3 if self.numbers[0] < 3 else 2 :])

    @property
    def is_rc(self) -> bool:
        """Whether the version is given to the rc."""
        return self.rc != _FINAL

    @property
    def is_prerelease(self) -> bool:
        """Whether it is an rc or holds commits on top of a tag (git, next)."""
        return self.is_rc or self.snapshot != (0, 0)

    @property
    def is_merge_window(self) -> bool:
        """Whether commits lie on top of x.y itself: a tree on its way to the next release's rc1."""
        return self.snapshot != (0, 0) and not self.is_rc and not self.is_stable

    @property
    def base(self) -> str:
        """The release it is built on, without snapshot: "6.1.27", "6.10", "6.10-rc4"."""
        numbers = list(self.numbers)
        while len(numbers) > (3 if self.numbers[0] < 3 else 2) and numbers[-1] == 0:
            numbers.pop()
        return ".".join(map(str, numbers)) + (f"-rc{self.rc}" if self.is_rc else "")

    def at_or_after_introduced(self, introduced: UpstreamVersion) -> bool:
        """Whether a defect introduced in `introduced` can be in this kernel.

        A pre-release of X is at or after X (the commit may be in it already), and a tree with commits on top
        of a tag is a pre-release of the tag's successors. An rc in `introduced` compares exactly.
        """
        if self >= introduced:
            return True
        if not self.is_prerelease:
            return False
        if self.is_rc and not introduced.is_rc:
            return self.numbers == introduced.numbers
        return self.snapshot != (0, 0) and self._is_successor(introduced)

    def _is_successor(self, other: UpstreamVersion) -> bool:
        if other.snapshot != (0, 0):
            return False
        if self.is_rc:
            return other.numbers == self.numbers and other.rc == self.rc + 1
        if other.is_rc and other.rc > 1:
            return False
        if self.is_stable:
            last = 3 if self.numbers[3] or self.numbers[0] < 3 else 2
            following = list(self.numbers)
            following[last] += 1
            return other.numbers == tuple(following)
        return other.numbers in self._next_releases()

    def _next_releases(self) -> tuple[tuple[int, int, int, int], ...]:
        major, minor, patch, _ = self.numbers
        if major < 3:
            return ((major, minor, patch + 1, 0), (3, 0, 0, 0)) if patch == 39 else ((major, minor, patch + 1, 0),)
        if minor == _LAST_MINOR.get(major):
            return ((major + 1, 0, 0, 0),)
        if major in _LAST_MINOR or minor < 19:
            return ((major, minor + 1, 0, 0),)
        return ((major, minor + 1, 0, 0), (major + 1, 0, 0, 0))


def parse(text: str) -> UpstreamVersion | None:
    """Return the parsed version, None if `text` is no upstream kernel version (a vendor's suffix, say)."""
    match = _RELEASE.match(text) if len(text) <= 128 else None
    if match is None:
        return None
    numbers = [int(n) for n in match["numbers"].split(".")]
    numbers += [0] * (4 - len(numbers))
    snapshot = match["snapshot"]
    following, count = _NEXT.search(snapshot), _COUNT.search(snapshot)
    if following:
        mark = (2, int(following[1]))
    elif count:
        mark = (1, int(count[1]))
    else:
        mark = (1, 0) if _MARK.search(snapshot) else (0, 0)
    rc = int(match["rc"]) if match["rc"] is not None else _FINAL
    return UpstreamVersion((numbers[0], numbers[1], numbers[2], numbers[3]), rc, mark)


def is_valid(text: str) -> bool:
    """Whether `text` is an upstream kernel version."""
    return parse(text) is not None


def compare(a: str, b: str) -> int:
    """Compare two valid upstream versions: -1, 0 or 1; a pre-release of X is before X."""
    x, y = parse(a), parse(b)
    if x is None or y is None:
        raise ValueError(f"not an upstream kernel version: {a if x is None else b!r}")
    return (x > y) - (x < y)
