"""The scored leaf: how much a crash resembles one that is known, as a number and not as yes or no.

`similar` stands in a rule's tree beside the other conditions. Its weights were found with the crashes of the
kernel's CVE
records and with reports joined to their fixes (docs/mining.md): the blamed function counts most, then the
functions that called it, rarer ones more; the kinds must be able to come from one defect.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from kbmatch.engine.document import Mark
from kbmatch.engine.explanation import Explanation
from kbmatch.engine.face import SANITIZER_KINDS, Face, compatibility
from kbmatch.engine.logic import Truth
from kbmatch.engine.values import dataclass

POSSIBLE = 0.40
"""From here on the crash resembles the known one: the leaf is true."""
LIKELY = 0.70
"""From here on it may be answered; below, the finding is at most possible."""
MAX_FRAMES = 8
DEPTH = 0.8
"""A frame counts this much of the one before it."""

_BLAMED, _STALLED, _NEAR, _TOP, _NEXT, _OVERLAP = 0.40, 0.35, 0.20, 0.15, 0.15, 0.30
_INNER = 0.28
_WAY, _FOLLOWED = 0.30, 3
_OTHER_ACCESS = 0.9
_HINT, _HINT_KINDS = 0.42, 0.5
_WINDOW = 3
_STALL_DEPTH = 16
_RARE, _TELLING = 0.85, 0.55
_LONE = 0.45
_CAPPED = LIKELY - 0.01
_WHOLE, _ALL_SHOWN = 0.95, 0.97
"""From here on a crash shows all that is known of the other one."""
_NO_DRIVER = 0.35
HANGS = frozenset(("soft-lockup", "hard-lockup", "rcu-stall", "hung-task", "workqueue-stall"))


@dataclass(frozen=True, slots=True)
class Similar:
    """A known crash. `blamed` are the names of the blamed function (several where inlining moves the fault), `top` the
    function that was printed, `frames` the specific functions that called the blamed one, innermost first, `weights`
    how rare each of blamed and frames is (0 to 1). `anchor`: names ("mlx5_core") or folders ("net/sctp/") of which the
    crash must show one. `at` is the place that a BUG or WARNING names, with its line or without. `magnet`: many
    defects crash in the blamed function. `alone`: little is known of the crash, so that only one which shows all of it
    is answered. `foreign`: code was mended of which the crash shows nothing; if it is a driver's, `driver` are words of
    which its modules have one in their names. `symptom`: somebody saw that the crash is that of a victim, whoever did
    it. `arch`: the machines that the mended code runs on. `mentioned`: functions that the fix is about, though the
    crash does not show them; a crash in one of them is a hint. `access`: read, write or exec, where the report says
    so. `titled`: the fix's title names the blamed function, so that one caller that many have is enough.
    """

    kind: str
    blamed: tuple[str, ...]
    top: str
    frames: tuple[str, ...] = ()
    weights: tuple[float, ...] = ()
    anchor: tuple[str, ...] = ()
    at: str | None = None
    magnet: bool = False
    alone: bool = False
    mentioned: tuple[str, ...] = ()
    access: str | None = None
    titled: bool = False
    driver: tuple[str, ...] = ()
    foreign: bool = False
    symptom: bool = False
    arch: tuple[str, ...] = ()
    mark: Mark | None = None

    @property
    def children(self) -> tuple[()]:
        """None: walks over a condition end here."""
        return ()

    def label(self) -> str:
        """The test in words."""
        callers = f", called from {' < '.join(self.frames[:3])}" if self.frames else ""
        return f"resembles a {self.kind} in {self.blamed[0]}{callers}"

    def judge(self, lookup: Callable[[str], object]) -> Explanation:
        """True from POSSIBLE on, with the score; unknown where the event shows no function at all."""
        face: Face | None = getattr(lookup, "face", None)
        if face is None or not face.sequence:
            return Explanation(Truth.UNKNOWN, self.label(), "frame", why="no function is known of this crash")
        value = self.score(face)
        shared = tuple(name for name in dict.fromkeys((*self.blamed, *self.frames)) if name in face.names)
        line = face.event.lines.get("trace", face.event.line)
        source = None if line is None else f"line {line}"
        return Explanation(Truth.of(value >= POSSIBLE), self.label(), "frame", shared, source, score=round(value, 4))

    def score(self, face: Face) -> float:
        """How much a face resembles this crash, from 0 to 1."""
        kinds = compatibility(self.kind, face.kind)
        if kinds == 0.0 or self.is_elsewhere(face):
            return 0.0
        if self.kind in HANGS and len(face.tasks) > 1:
            return max(self._resemblance(task, kinds) for task in face.tasks)
        return max(self._resemblance(face, kinds), self._mention(face, kinds))

    def _resemblance(self, face: Face, kinds: float) -> float:
        names = face.names
        whom, start = self._blame(face)
        value = whom
        top = face.event.symbol
        if top == self.top or (whom == _BLAMED and (top is None or (top in self.blamed and self.top in self.blamed))):
            value += _TOP
        following = 0
        if start is not None:
            following = self._following(face, start)
            value += _NEXT * min(1, following)
        elif self.frames and whom:
            value += 0.5 * _NEXT * (self.frames[0] in names)
        shared = self._overlap(names)
        value += _OVERLAP * shared
        if whom == _BLAMED and following > 1:
            kinds = kinds**0.6  # the same way to the same place: how it was noticed tells less
        return self._guarded(face, value * kinds, whom, following, shared)

    def _mention(self, face: Face, kinds: float) -> float:
        if kinds < _HINT_KINDS or not any(name in self.mentioned for name in face.blamed[:2]):
            return 0.0
        return _HINT if not self.anchor or self._anchored(face) else 0.0

    def _blame(self, face: Face) -> tuple[float, int | None]:
        """(points for the blamed function, where it stands in the crash)."""
        names = face.names
        own = [names[name] for name in self.blamed if name in names]
        equal = [names[name] for name in self.blamed if name in face.blamed and name in names]
        if equal:
            return _BLAMED, max(equal)
        if set(self.blamed) & set(face.blamed):
            return _BLAMED, face.position  # under the name of its family
        depth = face.position + _WINDOW if face.event.culprit else _STALL_DEPTH
        if own and self.kind in HANGS and face.kind in HANGS and max(own) <= depth:
            return _STALLED, max(own)  # a stall catches the CPU at any depth
        if own and self._following(face, max(own)) == _FOLLOWED and len(self.frames) >= _FOLLOWED:
            return _WAY, max(own)  # a function further in, on the same way
        if own and (max(own) <= face.position + _WINDOW or self._following(face, max(own)) > 1):
            return _NEAR, max(own)
        for name in self.frames[:2]:
            if name in face.blamed:
                # the blamed function was inlined here, or its caller there
                return (_INNER if face.event.symbol is None or name == self.frames[0] else _NEAR), None
        return 0.0, None

    def _following(self, face: Face, start: int) -> int:
        """How many of the frames follow the blamed function in order, without long gaps, until one is missing."""
        at, found = start, 0
        for wanted in self.frames[:_FOLLOWED]:
            position = face.next_after(at, wanted, _WINDOW)
            if position is None:
                break
            at, found = position, found + 1
        return found

    def _overlap(self, names: Mapping[str, int]) -> float:
        known = (self.blamed, *((frame,) for frame in self.frames))
        total = shared = 0.0
        for depth, alternatives in enumerate(known[:MAX_FRAMES]):
            weight = DEPTH**depth * (self.weights[depth] if depth < len(self.weights) else 1.0)
            total += weight
            if any(name in names for name in alternatives):
                shared += weight
        return shared / total if total else 0.0

    def _guarded(self, face: Face, value: float, whom: float, following: int, shared: float) -> float:
        if self.at is not None and face.at is not None and self.kind == face.kind and _file(self.at) != _file(face.at):
            value *= 0.6  # another BUG or WARN of the same function or of a shared helper
        if self.is_driver_missing(face):
            value *= _NO_DRIVER
        whole = value >= _WHOLE and shared >= _ALL_SHOWN and whom == _BLAMED
        all_shown = whole and following > 1
        line = self._same_line(face, whom) and not (self.magnet or self.foreign)
        sure = line or (self.titled and whole and following > 0)
        several = sure or len(set(self.blamed) & set(face.blamed)) > 1
        telling = self._telling()
        if not several and not telling:
            value = min(value, _CAPPED if self._is_told(face) or self._same_line(face, whom) else _LONE)
        if not (several or all_shown or self._shares_rare(face) or sum(n in face.names for n in telling) > 1):
            value = min(value, _CAPPED)  # one function alone is no answer, nor with a caller that many have
        if self.symptom or (self.foreign and not (all_shown and self._has_driver(face))):
            value = min(value, _CAPPED)
        if self.alone and not (sure or all_shown):
            value = min(value, _CAPPED)
        if self.access is not None and face.event.access is not None and self.access != face.event.access:
            value = min(value * _OTHER_ACCESS, _CAPPED)  # another instruction of the function
        if self.anchor and not self._anchored(face):
            value = min(value * 0.8, _CAPPED)
        if self.magnet and following < 2 and not (self.anchor and self._shares_rare(face)):
            value = min(value * 0.85, _CAPPED)
        if self.kind in HANGS and not (self.anchor and following):
            value = min(value * 0.8, _CAPPED)
        if self.kind in SANITIZER_KINDS and face.kind not in SANITIZER_KINDS:
            value = min(value, _CAPPED)  # a tier of its own: production kernels show the defect otherwise, if at all
        if whom < _STALLED and following < 2:
            value = min(value, _CAPPED)
        return value

    def _same_line(self, face: Face, whom: float) -> bool:
        """Whether the very line that warned is known: the same sign, though perhaps of another defect."""
        return whom == _BLAMED and self.at is not None and ":" in self.at and self.at == face.at

    def is_elsewhere(self, face: Face) -> bool:
        """Whether only code of another architecture was mended."""
        return bool(self.arch) and face.arch is not None and face.arch not in self.arch

    def is_driver_missing(self, face: Face) -> bool:
        """Whether a driver was mended that is not loaded, and of which the crash shows nothing."""
        return bool(self.driver) and face.lacks(self.driver) and not self._anchored(face)

    def _has_driver(self, face: Face) -> bool:
        """Whether a module of the mended driver is loaded."""
        return bool(self.driver and face.event.modules) and not face.lacks(self.driver, least=1)

    def _is_told(self, face: Face) -> bool:
        """Whether a function that the fix is about called the blamed one, though no quoted trace shows it."""
        return any(name in face.names for name in self.mentioned)

    def _telling(self) -> list[str]:
        """The callers that not every third crash has."""
        weights = self.weights[1:] or (1.0,) * len(self.frames)
        return [name for name, weight in zip(self.frames, weights, strict=False) if weight >= _TELLING]

    def _shares_rare(self, face: Face) -> bool:
        return any(w >= _RARE and f in face.names for f, w in zip(self.frames, self.weights[1:], strict=False))

    def _anchored(self, face: Face) -> bool:
        return any(shows(face, anchor) for anchor in self.anchor)


def _file(place: str) -> str:
    return place.partition(":")[0]


def shows(face: Face, anchor: str) -> bool:
    """Whether a crash shows something of a source file: its folder ("net/sctp/"), or a name as module or prefix."""
    if anchor.endswith("/"):
        return any(source.startswith(anchor) for source in face.sources)
    prefix = anchor + "_"
    return anchor in face.modules or any(
        name.startswith(prefix) or name == anchor or name.lstrip("_").startswith(prefix) for name in face.names
    )


def bounds(condition: Similar) -> dict[str, float]:
    """For each function the most that its presence in a crash can add to the score.

    The sum over a crash's functions is never below the score, so rules whose sum is too small need not be tried.
    """
    found: dict[str, float] = {}
    known = (condition.blamed, *((frame,) for frame in condition.frames))[:MAX_FRAMES]
    weights = [DEPTH**i * (condition.weights[i] if i < len(condition.weights) else 1.0) for i in range(len(known))]
    total = sum(weights) or 1.0
    for depth, alternatives in enumerate(known):
        for name in alternatives:
            found[name] = found.get(name, 0.0) + _OVERLAP * weights[depth] / total
    for name in condition.blamed:
        # equal, and the top where a crash names none
        found[name] = found.get(name, 0.0) + _BLAMED + _TOP
    for name in condition.frames[:2]:
        found[name] = found.get(name, 0.0) + _INNER
    for name in condition.mentioned:
        found[name] = found.get(name, 0.0) + _HINT
    if condition.frames:
        found[condition.frames[0]] = found.get(condition.frames[0], 0.0) + _NEXT
    if condition.top not in condition.blamed:
        found[condition.top] = found.get(condition.top, 0.0) + _TOP
    return found
