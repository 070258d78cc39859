"""The rules that kbmatch ships: each has a test file, and every case comes out as it says."""

from __future__ import annotations

from pathlib import Path

import pytest
from kbmatch.engine.condition import Combination, Condition, Leaf
from kbmatch.kb.authoring.rule_tests import load_rule_test, run_rule_test
from kbmatch.kb.store.files import SHIPPED
from kbmatch.kb.store.knowledge import KnowledgeBase

RULES = sorted(path for path in (SHIPPED / "rules").rglob("*.yaml") if not path.name.endswith(".test.yaml"))


def test_the_founding_bug_has_three_rules() -> None:
    assert {"xen-netfront-rsp-cons-sentinel", "xen-netfront-rsp-cons-behind", "xen-netfront-null-sring"} <= {
        path.stem for path in RULES
    }


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.stem)
def test_every_case_beside_the_rule_comes_out_as_expected(path: Path) -> None:
    test = load_rule_test(path.with_suffix(".test.yaml"))
    assert test.rule == path.stem
    assert [failure.text for failure in run_rule_test(test, KnowledgeBase())] == []


def _without(condition: Condition, index: int) -> Condition | None:
    """The condition without its index-th leaf (counted in order); None if nothing is left."""
    if isinstance(condition, Leaf):
        return None if index == 0 else condition
    kept = []
    for child in condition.children:
        size = sum(1 for _ in _leaves(child))
        reduced = _without(child, index) if 0 <= index < size else child
        index -= size
        if reduced is not None:
            kept.append(reduced)
    return Combination(condition.combinator, tuple(kept), condition.count) if kept else None


def _leaves(condition: Condition) -> list[Leaf]:
    return [condition] if isinstance(condition, Leaf) else [x for c in condition.children for x in _leaves(c)]


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.stem)
def test_every_condition_of_the_rule_matters_to_some_case(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import dataclasses

    test = load_rule_test(path.with_suffix(".test.yaml"))
    knowledge = KnowledgeBase()
    rule = knowledge.rules[path.stem]
    variants = [
        (leaf.label(), dataclasses.replace(rule, signature=reduced))
        for number, leaf in enumerate(_leaves(rule.signature))
        if (reduced := _without(rule.signature, number)) is not None
    ]
    for position, condition in enumerate(rule.state):
        for number, leaf in enumerate(_leaves(condition.any_record)):
            reduced = _without(condition.any_record, number)
            state = list(rule.state)
            if reduced is None:
                del state[position]
            else:
                state[position] = dataclasses.replace(condition, any_record=reduced)
            variants.append((leaf.label(), dataclasses.replace(rule, state=tuple(state))))
    for label, variant in variants:
        changed = KnowledgeBase()
        changed.__dict__["rules"] = {**knowledge.rules, rule.id: variant}
        # without an index the reduced rule is tried on every case, so that only its conditions decide
        monkeypatch.setattr(changed, "candidates", lambda keys, probes, k=changed: list(k.rules.values()))
        assert list(run_rule_test(test, changed)), f"no case notices that {label!r} is gone"
