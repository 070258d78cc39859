"""All mined rules against one crash, in memory: which resemble it, and which cannot be told apart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence

from kbmatch.engine.document import Problems
from kbmatch.engine.face import Face
from kbmatch.engine.signature import Signature
from kbmatch.engine.similar_loader import load_similar
from kbmatch.engine.similarity import LIKELY, POSSIBLE, Similar, bounds
from kbmatch.engine.ties import MARGIN
from kbmatch.kb.store.documents import document_from_plain
from kbmatch.kb.store.mended import MendedCode
from kbmatch.kb.store.mined import MinedRule, magnets, plain_crash, rarity

Ranked = Sequence[tuple[float, str]]


class Rivals:
    """The scored leaves of many rules, indexed by function as the compiled knowledge base has them."""

    def __init__(self, rules: Iterable[MinedRule]) -> None:
        listed = [rule for rule in rules if rule.crashes]
        rare, drawn = rarity(listed), magnets(listed)
        self.leaves = {
            rule.id: [_leaf(plain_crash(rule, crash, rare, drawn, MendedCode({})), rule.id) for crash in rule.crashes]
            for rule in listed
        }
        self.rules = {rule.id: rule for rule in listed}
        self._index: dict[str, list[tuple[str, float]]] = defaultdict(list)
        for rule_id, leaves in self.leaves.items():
            highest: dict[str, float] = {}
            for leaf in leaves:
                for name, bound in bounds(leaf).items():
                    highest[name] = max(bound, highest.get(name, 0.0))
            for name, bound in highest.items():
                self._index[name].append((rule_id, bound))

    def rank(self, event: Signature, without: Collection[str] = ()) -> Ranked:
        """(score, rule id) of the rules that resemble the crash, best first."""
        face = Face(event)
        sums: dict[str, float] = defaultdict(float)
        asked = {*face.names, *face.blamed, *([event.symbol] if event.symbol else ())}
        for name in asked:
            for rule_id, bound in self._index.get(name, ()):
                sums[rule_id] += bound
        found = []
        for rule_id, most in sums.items():
            if most >= POSSIBLE and rule_id not in without:
                score = max(leaf.score(face) for leaf in self.leaves[rule_id])
                if score >= POSSIBLE:
                    found.append((round(score, 4), rule_id))
        return sorted(found, key=lambda pair: (-pair[0], pair[1]))

    def equals(self, rule_id: str, ranked: Ranked) -> list[str]:
        """The other rules that score like the best on a rule's own crash and could answer it."""
        own = next((score for score, other in ranked if other == rule_id), 0.0)
        return [other for score, other in ranked if other != rule_id and score >= max(own - MARGIN, LIKELY)]


def _leaf(plain: dict[str, object], name: str) -> Similar:
    problems = Problems()
    document = document_from_plain(plain, name)
    leaf = load_similar(document, problems, document.mark)
    if leaf is None:
        raise ValueError(f"{name}: {problems.diagnostics[0]}")
    return leaf
