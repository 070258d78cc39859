"""Mutation: each condition of a rule is taken away, and turned round, to see whether any case of its test notices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from kbmatch.engine.condition import AnyTask, Combination, Condition, Leaf
from kbmatch.engine.document import Mark
from kbmatch.engine.errors import Diagnostic
from kbmatch.engine.rule import Rule
from kbmatch.engine.similarity import Similar
from kbmatch.kb.authoring.case_files import RuleTest
from kbmatch.kb.authoring.rule_tests import Bench, verdict_of


@dataclass(frozen=True, slots=True)
class Mutant:
    """A rule with one leaf removed or negated."""

    rule: Rule
    leaf: Leaf
    what: str


def mutants(rule: Rule) -> Iterator[Mutant]:
    """Every rule that differs in one leaf of signature, state or exceptions."""
    for tree, leaf, what in _variants(rule.signature):
        if tree is not None:
            yield Mutant(replace(rule, signature=tree), leaf, what)
    for position, condition in enumerate(rule.state):
        for tree, leaf, what in _variants(condition.any_record):
            listed = list(rule.state)
            listed[position : position + 1] = [] if tree is None else [replace(condition, any_record=tree)]
            yield Mutant(replace(rule, state=tuple(listed)), leaf, what)
    for position, item in enumerate(rule.exceptions):
        for tree, leaf, what in _variants(item.when):
            others = list(rule.exceptions)
            others[position : position + 1] = [] if tree is None else [replace(item, when=tree)]
            yield Mutant(replace(rule, exceptions=tuple(others)), leaf, what)


def _variants(tree: Condition) -> Iterator[tuple[Condition | None, Leaf, str]]:
    """(the tree without the leaf, or None if nothing is left; the leaf; what was done to it), for each leaf."""
    if isinstance(tree, Leaf):
        yield None, tree, "removed"
        yield Combination("not", (tree,)), tree, "negated"
        return
    if isinstance(tree, AnyTask):
        for changed, leaf, what in _variants(tree.condition):
            yield (None if changed is None else replace(tree, condition=changed)), leaf, what
        return
    if isinstance(tree, Similar):
        return  # scored as a whole: its parts are no conditions
    for position, child in enumerate(tree.children):
        for changed, leaf, what in _variants(child):
            kept = list(tree.children)
            kept[position : position + 1] = [] if changed is None else [changed]
            count = min(tree.count, len(kept)) if tree.combinator == "at-least" else tree.count
            yield (replace(tree, children=tuple(kept), count=count) if kept else None), leaf, what


def idle_conditions(rule: Rule, test: RuleTest, bench: Bench) -> Iterator[Diagnostic]:
    """The leaves of which no case of the prepared test notices that they are removed or negated."""
    expected = [_outcome(rule, number, test, bench) for number in range(len(test.cases))]
    seen: set[tuple[Mark | None, str]] = set()
    for mutant in mutants(rule):
        if (mutant.leaf.mark, mutant.leaf.fact) in seen:
            continue
        noticed = any(_outcome(mutant.rule, i, test, bench) != expected[i] for i in range(len(test.cases)))
        if not noticed:
            seen.add((mutant.leaf.mark, mutant.leaf.fact))
            mark = mutant.leaf.mark or Mark(rule.file or "", 1, 1)
            text = f"no case notices when {mutant.leaf.label()!r} is {mutant.what}"
            yield Diagnostic(mark.file, mark.line, mark.column, "idle-condition", text)


def _outcome(rule: Rule, number: int, test: RuleTest, bench: Bench) -> tuple[str, bool]:
    # always a candidate: without its function a mutant would not be looked up, and the index would notice for it
    return verdict_of(bench.finding(rule, test.cases[number].incident, always=True))
