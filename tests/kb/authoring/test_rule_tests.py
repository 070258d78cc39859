"""Rule tests: cases, evidence, mutation, the boundaries of fixed versions, silence on unrelated crashes."""

from __future__ import annotations

from pathlib import Path

import pytest

from kbmatch.engine.kinds import KINDS
from kbmatch.kb.authoring.checking import Summary, check_rules
from kbmatch.kb.authoring.lint import Tables
from kbmatch.kb.authoring.rule_tests import Bench, just_before
from kbmatch.kb.authoring.unrelated import unrelated_crashes
from kbmatch.kb.store.knowledge import KnowledgeBase

KNOWLEDGE = KnowledgeBase()
TABLES = Tables(KNOWLEDGE.products, KNOWLEDGE.helper_frames, KNOWLEDGE.probe_fields)
RULE = """\
format: 1
id: lab
title: a title
status: stable
severity: high
created: "2026-11-23"
description: x
signature: {signature}
affected:
  - product: {product}
    ranges: [{ranges}]
    source: lab notes
"""
CASES = """\
format: 1
rule: lab
cases:
  - name: the crash
    signature: {kind: bug, symbol: lab_fn, address: 0x8, trace: [lab_caller, vfs_read]}
    release: "4.14.35-1902.5.2.el7uek.x86_64"
    expect: {verdict: likely}
  - name: another function
    signature: {kind: bug, symbol: lab_elsewhere, address: 0x8}
    release: "4.14.35-1902.5.2.el7uek.x86_64"
    expect: {verdict: none}
"""
FIXED = '{stream: "1902", introduced: "0", fixed: "4.14.35-1902.7.0"}'


def run(
    folder: Path, signature: str, cases: str = CASES, *, lint: bool = False, ranges: str = FIXED, product: str = "uek5"
) -> Summary:
    path = folder / "lab.yaml"
    path.write_text(RULE.format(signature=signature, ranges=ranges, product=product))
    path.with_suffix(".test.yaml").write_text(cases)
    return check_rules([path], TABLES, lint=lint)


def told(summary: Summary) -> list[str]:
    return [f"{p.code}: {p.message}" for p in summary.problems]


def test_cases_that_come_out_as_expected_say_nothing(tmp_path: Path) -> None:
    summary = run(tmp_path, "{symbol: lab_fn}")
    assert (told(summary), summary.cases) == ([], 2)


def test_a_case_that_comes_out_otherwise_says_how(tmp_path: Path) -> None:
    (only,) = told(run(tmp_path, "{symbol: lab_fn}", CASES.replace("likely", "confirmed")))
    assert only.startswith("test-failed: the crash: expected confirmed, found likely")
    (only,) = told(run(tmp_path, "{symbol: lab_fn}", CASES.replace("verdict: likely", 'verdict: likely, version: "9"')))
    assert "expected version 9, found 4.14.35-1902.7.0" in only


@pytest.mark.parametrize(
    ("evidence", "wrong"),
    [("[symbol]", ""), ("{symbol: lab_fn}", ""), ("[comm]", "expected comm among"), ("{symbol: other}", "'other'")],
)
def test_the_evidence_that_a_finding_must_cite(tmp_path: Path, evidence: str, wrong: str) -> None:
    cases = CASES.replace("verdict: likely", f"verdict: likely, evidence: {evidence}")
    found = told(run(tmp_path, "{symbol: lab_fn}", cases))
    assert len(found) == bool(wrong)
    assert all(wrong in text for text in found)


@pytest.mark.parametrize(
    ("signature", "idle"),
    [
        ("{all: [{symbol: lab_fn}, {kind: bug}]}", ["kind is bug"]),
        ("{all: [{symbol: lab_fn}, {frame: lab_caller}]}", ["symbol is lab_fn", "frame is lab_caller"]),
        ("{any: [{symbol: lab_fn}, {culprit: lab_unseen}]}", ["culprit is lab_unseen"]),
        ("{all: [{symbol: lab_fn}, {not: {kind: oom}}]}", ["kind is oom"]),
        ("{symbol: lab_fn}", []),
    ],
)
def test_lint_says_which_condition_no_case_notices(tmp_path: Path, signature: str, idle: list[str]) -> None:
    found = told(run(tmp_path, signature, lint=True))
    assert [text.split("'")[1] for text in found if text.startswith("idle-condition")] == idle


def test_a_case_that_only_the_condition_decides_settles_it(tmp_path: Path) -> None:
    more = CASES + (
        '  - name: another kind\n    signature: {kind: gpf, symbol: lab_fn}\n'
        '    release: "4.14.35-1902.5.2.el7uek.x86_64"\n    expect: {verdict: none}\n'
    )  # fmt: skip
    assert told(run(tmp_path, "{all: [{symbol: lab_fn}, {kind: bug}]}", more, lint=True)) == []


def test_a_rule_of_machinery_speaks_on_unrelated_crashes(tmp_path: Path) -> None:
    cases = CASES.replace("lab_caller", "net_rx_action").replace("symbol: lab_elsewhere", "symbol: lab_fn, trace: [a]")
    (only,) = told(run(tmp_path, "{frame: net_rx_action}", cases))
    assert only.startswith("noisy: the rule speaks on an unrelated crash: ")


def test_the_corpus_has_every_kind_and_blames_drivers_that_do_not_exist() -> None:
    crashes = unrelated_crashes()
    assert {crash.events[0].kind for crash in crashes} == set(KINDS)
    bench = Bench(KNOWLEDGE.products, KNOWLEDGE.helper_frames)
    blamed = [bench.prepared(crash).events[0].culprit for crash in crashes]
    assert sum(culprit is not None and culprit.symbol.startswith("acme_") for culprit in blamed) > 1_000


@pytest.mark.parametrize(
    ("product", "version", "before"),
    [
        ("linux", "6.1.20", "6.1.19"), ("linux", "6.1.1", "6.1"), ("linux", "6.7", "6.7-rc1"),
        ("linux", "6.7-rc3", "6.7-rc2"), ("uek5", "4.14.35-1902.7.0", "4.14.35-1902.7.0~"),
    ],
)  # fmt: skip
def test_the_version_just_before(product: str, version: str, before: str) -> None:
    table = KNOWLEDGE.products.get(product)
    assert table is not None
    assert just_before(version, table) == before


@pytest.mark.parametrize(
    ("product", "line", "release"),
    [
        ("uek5", FIXED, "4.14.35-1902.5.2.el7uek.x86_64"),
        ("linux", '{branch: "6.1", introduced: "6.1.5", fixed: "6.1.20"}', "6.1.12"),
        ("linux", '{introduced: "6.5", fixed: "6.7"}', "6.6"),
    ],
)
def test_both_sides_of_a_fixed_version_are_graded(tmp_path: Path, product: str, line: str, release: str) -> None:
    cases = CASES.replace("4.14.35-1902.5.2.el7uek.x86_64", release)
    assert told(run(tmp_path, "{symbol: lab_fn}", cases, ranges=line, product=product)) == []


def test_a_fixed_version_that_another_range_takes_back_is_found(tmp_path: Path) -> None:
    ranges = FIXED + ', {stream: "1902", introduced: "4.14.35-1902.6.0", fixed: "4.14.35-1902.9.0"}'
    found = told(run(tmp_path, "{symbol: lab_fn}", ranges=ranges))
    assert any(text.startswith("boundary: uek5 4.14.35-1902.7.0 must not be affected") for text in found)


def test_a_case_may_be_given_by_tasks_text_modules_and_command_line(tmp_path: Path) -> None:
    signature = (
        "{all: [{any-task: {all: [{task-comm: a}, {task-frame: {in-order: [lab_wait, lab_top]}}]}}, "
        "{text: {contains: hello}}, {loaded-module: lab}, {command-line: quiet}, {taint: O}, {task-count: 2}]}"
    )
    case = """\
format: 1
rule: lab
cases:
  - name: both of one task
    signature:
      kind: hung-task
      text: ["well hello there"]
      modules: [lab, xfs]
      tasks: [{comm: b, trace: [lab_other]}, {comm: a, trace: [schedule, lab_wait, mid, lab_top]}]
    release: "4.14.35-1902.5.2.el7uek.x86_64"
    command-line: "ro quiet"
    taint: [O]
    expect: {verdict: likely}
  - name: of two tasks
    signature:
      kind: hung-task
      text: ["well hello there"]
      modules: [lab, xfs]
      tasks: [{comm: a, trace: [lab_other]}, {comm: b, trace: [schedule, lab_wait, mid, lab_top]}]
    release: "4.14.35-1902.5.2.el7uek.x86_64"
    command-line: "ro quiet"
    taint: [O]
    expect: {verdict: none}
"""
    assert told(run(tmp_path, signature, case)) == []
