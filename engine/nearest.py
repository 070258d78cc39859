"""The known rules that come nearest to a crash that none fits, and what differs: where a reader starts to look."""

from __future__ import annotations

from kbmatch.engine.diagnose import RuleSource, SceneLookup
from kbmatch.engine.explanation import Explanation
from kbmatch.engine.facts import Scene, selective_values
from kbmatch.engine.finding import Diagnosis
from kbmatch.engine.logic import Truth
from kbmatch.engine.values import dataclass
from kbmatch.engine.verdict import Verdict

MAX_JUDGED = 200
"""Rules that share a fact with the crash and are weighed; a function that everybody calls may have hundreds."""

_PLACES = frozenset({"symbol", "culprit", "printed", "message", "panic", "task-frame"})
"""Facts of which one must agree: a kind and a caller that everybody has are not near."""


@dataclass(frozen=True, slots=True)
class NearRule:
    """A rule that does not answer: the share of its signature that holds, and the leaves that speak against it.

    `verdict` is None where the signature itself does not fit.
    """

    rule: str
    title: str
    share: float
    verdict: Verdict | None
    differs: tuple[Explanation, ...]


def nearest_rules(diagnosis: Diagnosis, rules: RuleSource, limit: int = 3) -> tuple[NearRule, ...]:
    """The nearest rules on the fatal event, best first: those that fitted but were ruled out, then near misses."""
    incident = diagnosis.incident
    index = incident.fatal_index
    if index is None:
        return ()
    found = [
        NearRule(f.rule.id, f.rule.title, f.score, f.verdict, _against(f.signature, *f.state))
        for f in diagnosis.of_event(index)
        if not f.verdict.shown
    ]
    known = {f.rule.id for f in diagnosis.of_event(index)}
    scene = Scene(incident, incident.events[index])
    lookup = SceneLookup(scene)
    for rule in list(rules.candidates(selective_values(scene), ()))[:MAX_JUDGED]:
        if rule.id in known:
            continue
        tree = rule.signature.judge(lookup)
        leaves = tuple(tree.leaves())
        held = [leaf for leaf in leaves if leaf.truth is Truth.TRUE]
        if any(leaf.fact in _PLACES for leaf in held):
            share = len(held) / len(leaves)
            found.append(NearRule(rule.id, rule.title, round(share, 4), None, _against(tree)))
    found.sort(key=lambda near: (near.verdict is None, -near.share, near.rule))
    return tuple(found[:limit])


def _against(*trees: Explanation) -> tuple[Explanation, ...]:
    """The leaves that keep the trees from being true: the false ones, or, without any, the unknown ones."""
    leaves = [leaf for tree in trees if tree.truth is not Truth.TRUE for leaf in tree.decisive()]
    false = tuple(leaf for leaf in leaves if leaf.truth is Truth.FALSE)
    return (false or tuple(leaves))[:5]
