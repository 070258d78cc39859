"""What only several rules together show: an id taken twice, siblings that do not name each other, unknown siblings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from kbmatch.engine.condition import Condition, Leaf, index_entries
from kbmatch.engine.document import Mapping as MappingNode
from kbmatch.engine.document import Node, Scalar
from kbmatch.engine.document import Sequence as SequenceNode
from kbmatch.engine.errors import Diagnostic
from kbmatch.engine.facts import FACTS, SELECTIVE
from kbmatch.engine.rule import Rule
from kbmatch.kb.authoring.lint import LintedRule
from kbmatch.kb.authoring.lint_logic import Leaves, demands, fact_domain, plain, possible

_SELECTIVE = frozenset(fact.name for fact in SELECTIVE)
MAX_GROUP = 400
"""Rules of one function that are compared with each other; beyond, only the first ones."""


def _same_file(one: str | None, other: str | None) -> bool:
    """Whether two paths lead to one file: a shipped rule may be named from the folder it lies in."""
    return one == other or (one is not None and other is not None and Path(one).resolve() == Path(other).resolve())


def check_together(linted: Sequence[LintedRule], others: Mapping[str, Rule]) -> Iterator[Diagnostic]:
    """Problems of the linted rules among each other and with `others`, the rules that are there already."""
    rules: dict[str, Rule] = {}
    for one in linted:
        if one.rule is None:
            continue
        taken = rules.get(one.rule.id) or others.get(one.rule.id)
        if taken is not None and not _same_file(taken.file, one.rule.file):
            mark = one.place("id")
            text = f"rule {one.rule.id} stands already in {taken.file}"
            yield Diagnostic(mark.file, mark.line, mark.column, "duplicate-id", text)
        else:
            rules[one.rule.id] = one.rule
    known = {*rules, *others}
    for one in linted:
        if one.rule is not None:
            yield from _related(one, known)
    own = {one.rule.id: one for one in linted if one.rule is not None}
    yield from _overlaps([*rules.values(), *(r for r in others.values() if r.id not in rules)], own)


def _related(one: LintedRule, known: set[str]) -> Iterator[Diagnostic]:
    node: Node | None = one.node.get("related") if isinstance(one.node, MappingNode) else None
    for item in node.items if isinstance(node, SequenceNode) else ():
        if not isinstance(item, Scalar) or not isinstance(item.value, str):
            continue
        if one.rule is not None and item.value == one.rule.id:
            text = "a rule is not related to itself"
        elif item.value in known:
            continue
        else:
            text = f"there is no rule {item.value!r}"
        yield Diagnostic(item.mark.file, item.mark.line, item.mark.column, "unknown-related", text)


def _overlaps(rules: Sequence[Rule], own: Mapping[str, LintedRule]) -> Iterator[Diagnostic]:
    groups: dict[tuple[str, str], list[Rule]] = {}
    for rule in rules:
        for fact, value in index_entries(rule.signature, _SELECTIVE):
            # where the CPU stood is a frame too, and mostly the culprit: rules meet whichever they name
            groups.setdefault(("function" if fact != "task-frame" else fact, value), []).append(rule)
    needs: dict[str, Leaves] = {}
    exact: dict[str, dict[str, frozenset[int | str]]] = {}
    reported: set[tuple[str, str]] = set()
    for group in groups.values():
        for index, rule in enumerate(group[:MAX_GROUP]):
            for other in group[:index]:
                pair = (min(rule.id, other.id), max(rule.id, other.id))
                if rule.id == other.id or pair in reported or not ({rule.id, other.id} & own.keys()):
                    continue
                if rule.id in other.related or other.id in rule.related:
                    continue
                for one in (rule, other):
                    if one.id not in needs:
                        needs[one.id] = demands(one.signature)
                        exact[one.id] = _exact(needs[one.id])
                if _told_apart(exact[rule.id], exact[other.id]):
                    continue
                if not overlap(rule.signature, other.signature, needs[rule.id], needs[other.id]):
                    continue
                reported.add(pair)
                place, sibling = (rule, other) if rule.id in own else (other, rule)
                mark = own[place.id].place("signature")
                text = f"every condition here can hold on a crash of {sibling.id} too, and neither names the other"
                yield Diagnostic(mark.file, mark.line, mark.column, "overlap", text)


def _exact(needs: Leaves) -> dict[str, frozenset[int | str]]:
    """The values that each single-valued fact is demanded to have one of."""
    return {
        leaf.fact: frozenset(leaf.values)
        for leaf, wanted in needs
        if wanted and leaf.operator == "is" and not FACTS[leaf.fact].many
    }


def _told_apart(one: Mapping[str, frozenset[int | str]], other: Mapping[str, frozenset[int | str]]) -> bool:
    """Whether a fact must have different values: most pairs differ in that, and it is quick to see."""
    return any(fact in other and values.isdisjoint(other[fact]) for fact, values in one.items())


def overlap(one: Condition, other: Condition, needs: Leaves, others: Leaves) -> bool:
    """Whether the signatures can be true of one crash and nothing in them tells the crashes apart.

    They are told apart where their demands contradict each other, or where each asks for a frame, a task or a text that
    the other does not ask for.
    """
    both = (*needs, *others)
    for name in {leaf.fact for leaf, _ in both}:
        if not possible([pair for pair in both if pair[0].fact == name], fact_domain(name)):
            return False
    return _asks(one) <= _asks(other) or _asks(other) <= _asks(one)


def _asks(condition: Condition) -> set[str]:
    """What a signature asks for beyond single-valued facts, as comparable texts."""
    if isinstance(condition, Leaf):
        return {repr(plain(condition))} if FACTS[condition.fact].many else set()
    if getattr(condition, "combinator", None) == "all":
        return set().union(*(_asks(child) for child in condition.children))
    return set() if _single(condition) else {repr(plain(condition))}


def _single(condition: Condition) -> bool:
    if isinstance(condition, Leaf):
        return not FACTS[condition.fact].many
    return all(_single(child) for child in condition.children)


def in_order(problems: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Sorted by file and place, each once."""
    return sorted(set(problems))
