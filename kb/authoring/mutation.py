"""Mutation: each condition of a rule is taken away, and turned round, to see whether any case of its test notices."""

from __future__ import annotations

from collections.abc import Iterator

from kbmatch.engine.condition import AnyTask, Combination, Condition, Leaf
from kbmatch.engine.diagnose import SceneLookup, judge_version
from kbmatch.engine.document import Mark
from kbmatch.engine.errors import Diagnostic
from kbmatch.engine.facts import Scene
from kbmatch.engine.incident import Incident
from kbmatch.engine.logic import Truth, all_of
from kbmatch.engine.rule import Rule
from kbmatch.engine.signature import Signature
from kbmatch.engine.similarity import Similar
from kbmatch.engine.state import judge_state
from kbmatch.engine.values import dataclass, replace
from kbmatch.engine.verdict import Judgement, Verdict, combine
from kbmatch.kb.authoring.case_files import RuleTest
from kbmatch.kb.authoring.rule_tests import Bench


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
    trials = [_Trial(rule, case.incident, bench) for case in test.cases]
    expected = [trial.verdict(rule) for trial in trials]
    seen: set[tuple[Mark | None, str]] = set()
    for mutant in mutants(rule):
        if (mutant.leaf.mark, mutant.leaf.fact) in seen:
            continue
        noticed = any(trial.verdict(mutant.rule) != known for trial, known in zip(trials, expected, strict=True))
        if not noticed:
            seen.add((mutant.leaf.mark, mutant.leaf.fact))
            mark = mutant.leaf.mark or Mark(rule.file or "", 1, 1)
            text = f"no case notices when {mutant.leaf.label()!r} is {mutant.what}"
            yield Diagnostic(mark.file, mark.line, mark.column, "idle-condition", text)


class _Trial:
    """One case, on which a rule and its mutants are judged: what no condition changes is worked out once.

    The verdicts are those of `diagnose`, without what a report needs beside them. A mutant is judged whether or not it
    would be looked up: without its function it would not be, and the index would notice in its place.
    """

    def __init__(self, rule: Rule, incident: Incident, bench: Bench) -> None:
        self._incident = incident
        events: list[Signature | None] = list(incident.events)
        if incident.state:
            events.append(None)  # memory shows it though no event does
        self._scenes = [
            (SceneLookup(Scene(incident, event)), judge_version(rule, event, incident, bench.products).status, event)
            for event in events
        ]

    def verdict(self, rule: Rule) -> tuple[str, bool]:
        """The best verdict over all events, and whether memory and version contradict each other."""
        trees = [judge_state(condition, self._incident).truth for condition in rule.state]
        state = all_of(trees) if trees else Truth.UNKNOWN
        found: list[Judgement] = []
        for lookup, version, event in self._scenes:
            if event is None and found:
                continue
            signature = rule.signature.judge(lookup).truth
            excepted = any(item.when.judge(lookup).truth is Truth.TRUE for item in rule.exceptions)
            judged = combine(signature, state, version, excepted, rule.rule_class == "kernel-bug")
            if judged is not None and (event is not None or judged.verdict is not Verdict.INCOMPLETE):
                found.append(judged)
        best = min(found, key=lambda judged: judged.verdict.rank, default=None)
        return ("none", False) if best is None else (best.verdict.value, best.version_conflict)
