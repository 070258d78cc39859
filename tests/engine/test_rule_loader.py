"""Rule files: every mistake is reported, at its line and column, all at once."""

from __future__ import annotations

import pytest

from kbmatch.engine.document import Problems
from kbmatch.engine.errors import Diagnostic, KnowledgeError
from kbmatch.engine.rule_loader import load_rule
from kbmatch.kb.store.products import load_products
from kbmatch.kb.store.yaml_reader import parse_yaml

GOOD = """\
format: 1
id: some-rule
title: a title
status: stable
severity: high
created: "2026-11-23"
description: what goes wrong
signature:
  all:
    - kind: null-deref
    - symbol: foo
affected:
  - product: uek5
    ranges:
      - {stream: "1902", introduced: "0", fixed: "4.14.35-1902.7.0"}
fixes:
  - {commit: "a761129e3625", title: "x"}
"""


def diagnostics(text: str) -> list[Diagnostic]:
    problems = Problems()
    try:
        rule = load_rule(parse_yaml(text, "some-rule.yaml"), problems, load_products(), {"p": {"n": "integer"}})
    except KnowledgeError as error:
        return list(error.diagnostics)
    assert (rule is None) == bool(problems.diagnostics)
    return problems.diagnostics


def test_a_good_rule_loads() -> None:
    assert diagnostics(GOOD) == []


@pytest.mark.parametrize(
    ("old", "new", "code", "line", "column"),
    [
        ("severity: high", "severity: huge", "bad-value", 5, 11),
        ("severity: high", "severty: high", "unknown-key", 5, 1),
        ("id: some-rule", "id: other-rule", "id-path", 2, 5),
        ("id: some-rule", "id: Some_Rule", "bad-id", 2, 5),
        ('created: "2026-11-23"', "created: yesterday", "bad-date", 6, 10),
        ("    - kind: null-deref", "    - kind: null-dereference", "bad-value", 10, 13),
        ("    - symbol: foo", "    - symbl: foo", "unknown-fact", 11, 7),
        ("    - symbol: foo", "    - address: 0x2c", "not-selective", 9, 3),
        ("    - symbol: foo", "    - symbol: foo\n    - offset: 0x2bb", "build-offset", 12, 7),
        ("    - symbol: foo", "    - frame: {in-order: [a]}", "bad-operator", 11, 25),
        ("    - symbol: foo", "    - symbol: {in-order: [a, b]}", "bad-operator", 11, 26),
        ("    - symbol: foo", "    - any-task: {task-frme: a}", "unknown-fact", 11, 18),
        ("  all:\n    - kind: null-deref\n    - symbol: foo", "  not: {symbol: foo}", "lone-not", 9, 3),
        ('created: "2026-11-23"', 'created: "2026-02-30"', "bad-date", 6, 10),
        ('fixed: "4.14.35-1902.7.0"', 'fixed: "4 14"', "bad-version", 15, 50),
        ('introduced: "0"', 'introduced: "4.14.35-1902.9.0"', "range-order", 15, 65),
        ("    - symbol: foo", "    - symbol: {lt: 3}", "bad-operator", 11, 20),
        ("    - symbol: foo", "    - symbol: 12", "unquoted", 11, 15),
        ("    - symbol: foo", "    - {symbol: foo, address: 1}", "bad-condition", 11, 7),
        ("    - symbol: foo", "    - symbol: []", "bad-value", 11, 15),
        ("    - symbol: foo", "    - symbol: foo\n    - message: {matches: '(a+)+b'}", "bad-regex", 12, 26),
        ("    - symbol: foo", "    - symbol: foo\n    - all: []", "bad-condition", 12, 12),
        ("    - symbol: foo", "    - symbol: &anchor foo", "yaml-anchor", 11, 15),
        ("    - symbol: foo", "    - symbol: !!python/none foo", "yaml-tag", 11, 15),
        ("title: a title", "title: a title\ntitle: b", "duplicate-key", 4, 1),
        ('fixed: "4.14.35-1902.7.0"', "fixed: 4.14", "unquoted", 15, 50),
        ('commit: "a761129e3625"', "commit: 0123456701234567", "unquoted", 17, 14),
        ('commit: "a761129e3625"', 'commit: "a761"', "bad-commit", 17, 14),
        ("product: uek5", "product: uek55", "unknown-product", 13, 14),
        ('stream: "1902"', 'stream: "1999"', "unknown-stream", 15, 18),
        ('stream: "1902", ', "", "missing-stream", 15, 22),
        ("title: a title", "title: [", "yaml", 5, 9),
    ],
)
def test_a_mistake_is_reported_at_its_place(old: str, new: str, code: str, line: int, column: int) -> None:
    assert old in GOOD
    found = diagnostics(GOOD.replace(old, new, 1))
    assert (code, line, column) in [(d.code, d.line, d.column) for d in found], found


def test_all_mistakes_of_a_file_are_reported_together() -> None:
    text = GOOD.replace("severity: high", "severity: huge").replace("symbol: foo", "symbl: foo")
    assert {d.code for d in diagnostics(text)} >= {"bad-value", "unknown-fact"}


def test_a_state_condition_names_a_known_probe_and_its_fields() -> None:
    state = "state:\n  - probe: p\n    any-record: {n: 1}\n"
    assert diagnostics(GOOD + state) == []
    assert [d.code for d in diagnostics(GOOD + state.replace("probe: p", "probe: q"))] == ["unknown-probe"]
    assert [d.code for d in diagnostics(GOOD + state.replace("{n: 1}", "{m: 1}"))] == ["unknown-field"]


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "3", "a: b\n---\nc: d\n", "\t", "a: [b\n", "? [x]\n: y\n"])
def test_what_is_no_rule_file_is_an_error_with_a_place(text: str) -> None:
    found = diagnostics(text)
    assert found
    assert all(d.line >= 1 and d.column >= 1 for d in found)
