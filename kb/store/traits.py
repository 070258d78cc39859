"""The traits of mined rules, weighted by how rare they are (engine/traits.py says what they are for)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from kbmatch.engine.clues import normal_title
from kbmatch.engine.culprit import HelperFrames
from kbmatch.engine.traits import BOARD, CAUSE, CHECK, FILE, FIX, FOLDER, FUNCTION, MODULE, PIECE, SEEN, pieces, trait
from kbmatch.kb.store.mined import SCALE, MinedRule

MOST = 250
"""A trait that more rules have is not stored: it tells nothing and would be read in vain."""
_DEPTH, _NAMED = 0.93, 0.6
_WEIGHT = {
    FUNCTION: 1.0,
    FILE: 0.7,
    FOLDER: 0.15,
    PIECE: 0.375,
    MODULE: 0.3,
    SEEN: 0.5,
    CHECK: 0.2,
    FIX: 3.0,
    CAUSE: 2.0,
    BOARD: 0.45,
}
_SQUARED = frozenset((FUNCTION, MODULE))
_PIECE_FLOOR = 0.25


def rule_traits(rule: MinedRule) -> dict[str, float]:
    """The traits of one rule with what each means to it, before rarity."""
    found: dict[str, float] = {}

    def note(kind: str, value: str, weight: float = 1.0) -> None:
        key = trait(kind, value)
        found[key] = max(weight, found.get(key, 0.0))

    for crash in rule.crashes:
        for name in crash.blamed:
            note(FUNCTION, name)
        for depth, name in enumerate(crash.frames, 1):
            note(FUNCTION, name, _DEPTH**depth)
        if crash.top:
            note(FUNCTION, crash.top, _NAMED)
        if crash.check:
            note(CHECK, crash.check)
    for name in (*rule.mentioned, *rule.named):
        note(FUNCTION, name, _NAMED)
    telling = [crash.blamed[0] for crash in rule.crashes] + [f for c in rule.crashes for f in c.frames[:2]]
    for piece in {piece for text in (rule.title, *telling) for piece in pieces(text)}:
        note(PIECE, piece)
    for file in rule.files:
        stem = file.rpartition("/")[2].rpartition(".")[0]
        note(FOLDER, file.rpartition("/")[0])
        for piece in pieces(stem):
            note(PIECE, piece)
        if file.endswith(".c"):
            note(FILE, file)
            note(MODULE, stem.replace("-", "_"))
    for name in rule.anchor:
        if not name.endswith("/"):
            note(MODULE, name)
    clues = {
        SEEN: rule.seen,
        BOARD: rule.boards,
        CAUSE: rule.causes,
        FIX: (rule.id.upper(), normal_title(rule.title), *rule.commits),
    }
    for kind, values in clues.items():
        for value in values:
            note(kind, value)
    return found


def weighted(rules: Sequence[MinedRule], helpers: HelperFrames) -> Iterator[tuple[str, dict[str, float]]]:
    """(rule id, its traits with their final weights) of each rule; a function that carries no blame is no trait."""
    traits = [(rule.id, rule_traits(rule)) for rule in rules]
    functions = {name[2:] for _, own in traits for name in own if name[0] == FUNCTION}
    carried = {
        trait(FUNCTION, name) for name in functions if helpers.is_helper(name, "bug") or helpers.is_dispatcher(name)
    }
    traits = [
        (rule_id, {name: weight for name, weight in own.items() if name not in carried}) for rule_id, own in traits
    ]
    count = Counter(name for _, own in traits for name in own)
    whole = math.log(max(SCALE, len(rules)))
    for rule_id, own in traits:
        yield rule_id, dict(_final(own, count, whole))


def _final(own: Mapping[str, float], count: Counter[str], whole: float) -> Iterator[tuple[str, float]]:
    for name, weight in own.items():
        if count[name] > MOST:
            continue
        kind = name[0]
        rare = 1 - math.log(count[name]) / whole
        if kind == PIECE:
            rare -= _PIECE_FLOOR
        if kind in _SQUARED:
            rare *= rare
        value = round(_WEIGHT[kind] * weight * rare, 3)
        if value > 0.0:
            yield name, value
