"""Traits: what a crash shows besides its trace's shape, so that a rule about the same code can be found at all.

One defect crashes in many ways: the function next to the one that was reported, another message, a warning where
the report has an oops. What stays is the code: its functions, source files and modules, the words its names are made
of, and often the kernel it was met on. Each trait is a text "kind:value"; the compiler stores those of every mined
rule with the weight that its rarity gives it (kb/store/traits.py), a crash asks for its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from kbmatch.engine.face import Face
from kbmatch.engine.signature import Signature

FUNCTION, FILE, FOLDER, PIECE, MODULE, SEEN, CHECK = "f", "h", "d", "p", "m", "s", "w"
FIX, CAUSE, BOARD = "c", "i", "b"
"""Kinds of traits: a function, a source file, its folder, a word of names, a module, a release, a sanitizer's check, a
fix by commit, CVE id or subject line, the commit that brought the defect in, a board."""
MAX_EVENTS = 6
MAX_FUNCTIONS = 120
_DEPTH = 0.92
_LATER_EVENT, _LEFTOVER, _LOCK = 0.75, 0.12, 0.6
_ALL, _BEST = frozenset((FUNCTION,)), frozenset((FILE, FOLDER, MODULE, SEEN, CHECK, FIX, CAUSE, BOARD))
_MOST_PIECES = 0.8
_SPLIT = re.compile(r"[_\W]+")
_CHECK = re.compile(r"(?:KASAN|KMSAN|KCSAN|UBSAN): ([\w-]{3,40})")


def trait(kind: str, value: str) -> str:
    """The text of a trait."""
    return f"{kind}:{value}"


def pieces(name: str) -> frozenset[str]:
    """The words that a function's or file's name is made of, without short ones and numbers."""
    return frozenset(part for part in _SPLIT.split(name.lower()) if len(part) > 2 and not part.isdigit())


def check_of(message: str) -> str | None:
    """What a sanitizer found ("slab-use-after-free"), None if the message is of none."""
    found = _CHECK.search(message)
    return found[1] if found else None


def functions_of(events: Iterable[Signature]) -> dict[str, float]:
    """The functions that the events show, each with how much it means: inner ones more, leftovers little."""
    found: dict[str, float] = {}

    def note(name: str, weight: float) -> None:
        if len(found) < MAX_FUNCTIONS or name in found:
            found[name] = max(weight, found.get(name, 0.0))

    for number, event in enumerate(sorted(events, key=lambda e: not e.fatal)[:MAX_EVENTS]):
        share = 1.0 if number == 0 else _LATER_EVENT
        face = Face(event)
        for one in face.tasks or (face,):
            start = one.position
            for index, name in enumerate(one.sequence):
                note(name.symbol, share * _DEPTH ** max(0, index - start))
        for frame in event.locks:
            note(frame.symbol, share * _LOCK)
        for frame in event.trace:
            if not frame.reliable:
                note(frame.symbol, share * _LEFTOVER)
    return found


def traits_of(
    events: Sequence[Signature],
    functions: Mapping[str, float],
    homes: Mapping[str, Sequence[str]],
    release: str | None,
    named: Iterable[str] = (),
    board: str | None = None,
) -> dict[str, float]:
    """The traits of the events with their weights. `homes` are the source files in which a function is defined, `named`
    and `board` what engine/clues.py found.
    """
    found: dict[str, float] = {}

    def note(kind: str, value: str, weight: float) -> None:
        key = trait(kind, value)
        found[key] = max(weight, found.get(key, 0.0))

    for name, weight in functions.items():
        note(FUNCTION, name, weight)
        for piece in pieces(name):
            note(PIECE, piece, weight)
        files = homes.get(name, ())
        for file in files:
            own = weight / len(files) ** 0.5
            note(FILE, file, own)
            note(FOLDER, file.rpartition("/")[0], own)
    for event in events[:MAX_EVENTS]:
        for module in Face(event).modules:
            note(MODULE, module, 1.0)
        check = check_of(event.message)
        if check:
            note(CHECK, check, 1.0)
    if release:
        note(SEEN, release, 1.0)
    for name in named:
        note(FIX, name, 1.0)
        note(CAUSE, name, 1.0)
    if board:
        note(BOARD, board, 1.0)
    return found


def strength(shared: Iterable[tuple[str, float]]) -> float:
    """How much a rule and a crash have in common, from the traits that both show and the products of their weights.

    Functions add up; of files, folders and modules the best one counts; words of names add up to a limit.
    """
    total = piece = 0.0
    best: dict[str, float] = {}
    for name, weight in shared:
        kind = name[0]
        if kind in _ALL:
            total += weight
        elif kind in _BEST:
            best[kind] = max(weight, best.get(kind, 0.0))
        else:
            piece += weight
    return total + min(piece, _MOST_PIECES) + sum(best.values())
