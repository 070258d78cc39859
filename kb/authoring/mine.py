"""kbmatch kb mine: from the kernel's CVE records to the rules under kb/mined/."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from kbmatch.engine.culprit import HelperFrames
from kbmatch.engine.signature import Signature
from kbmatch.engine.values import dataclass, replace
from kbmatch.kb.authoring.mine_rivals import Rivals
from kbmatch.kb.authoring.mine_rule import rule_of
from kbmatch.kb.authoring.mine_source import Progress, Record, read_records
from kbmatch.kb.authoring.mine_text import excerpts
from kbmatch.kb.authoring.mine_write import sort_key, write_rules
from kbmatch.kb.store.mined import MinedRule

MAX_RELATED = 8


@dataclass(frozen=True, slots=True)
class Mined:
    """What a run made. `refused` counts records without a rule by reason; `joined` rules stand in a differential."""

    records: int
    rules: tuple[MinedRule, ...]
    refused: tuple[tuple[str, int], ...]
    joined: int
    noisy: tuple[str, ...]

    def tiers(self) -> dict[str, int]:
        """How many rules each tier has."""
        return dict(Counter(rule.tier for rule in self.rules).most_common())


def mine(source: Path, helpers: HelperFrames, progress: Progress = lambda done, total: None) -> Mined:
    """Mine all records of a source. Raises UnreadableInput."""
    made: dict[str, MinedRule] = {}
    refused: Counter[str] = Counter()
    crashes: dict[str, Record] = {}
    count = 0
    for record in read_records(source, progress):
        count += 1
        rule = rule_of(record, helpers)
        if isinstance(rule, MinedRule):
            made[rule.id] = rule
            crashes[rule.id] = record
        else:
            refused[rule] += 1
    rules = sorted(made.values(), key=sort_key)
    joined = _joined(rules, lambda rule: crashes[rule.id], helpers)
    noisy = tuple(rule.id for rule in joined if rule.status == "draft")
    related = sum(bool(rule.related) for rule in joined)
    return Mined(count, tuple(joined), tuple(refused.most_common()), related, noisy)


def _joined(
    rules: Sequence[MinedRule], record_of: Callable[[MinedRule], Record], helpers: HelperFrames
) -> list[MinedRule]:
    """The rules with those related that cannot be told apart, and as draft those that beat others on their own
    crash.
    """
    rivals = Rivals(rules)
    related: dict[str, set[str]] = {rule.id: set() for rule in rules}
    beaten: Counter[str] = Counter()
    for rule in rules:
        event = own_event(record_of(rule), rule, helpers)
        if event is None:
            continue
        ranked = rivals.rank(event)
        own = next((score for score, other in ranked if other == rule.id), 0.0)
        for other in rivals.equals(rule.id, ranked):
            related[rule.id].add(other)
            related[other].add(rule.id)
        for score, other in ranked:
            if score > own + 0.1 and score >= 0.75:
                beaten[other] += 1
    found = []
    for rule in rules:
        siblings = tuple(sorted(related[rule.id]))[:MAX_RELATED]
        status = "draft" if beaten[rule.id] >= 2 else rule.status
        found.append(replace(rule, related=siblings, status=status))
    return found


def own_event(record: Record, rule: MinedRule, helpers: HelperFrames) -> Signature | None:
    """The quoted crash that the rule was made of."""
    for excerpt in excerpts(record.description, helpers):
        culprit = excerpt.event.culprit
        if any(excerpt.event.kind == c.kind and culprit and culprit.symbol in rule.functions for c in rule.crashes):
            return excerpt.event
    return None


def write(mined: Mined, folder: Path) -> dict[str, int]:
    """Write the rules; (file name -> number of rules)."""
    return write_rules(mined.rules, folder)
