"""The rules that kbmatch ships: every one passes what `kbmatch rule lint` and `kbmatch rule test` ask of any rule."""

from __future__ import annotations

from kbmatch.kb.authoring.checking import check_rules, rule_files
from kbmatch.kb.authoring.lint import Tables
from kbmatch.kb.store.files import SHIPPED
from kbmatch.kb.store.knowledge import KnowledgeBase

RULES = rule_files([SHIPPED / "rules"])


def tables() -> Tables:
    knowledge = KnowledgeBase()
    return Tables(knowledge.products, knowledge.helper_frames, knowledge.probe_fields)


def test_the_founding_bug_has_three_rules() -> None:
    assert {"xen-netfront-rsp-cons-sentinel", "xen-netfront-rsp-cons-behind", "xen-netfront-null-sring"} <= {
        path.stem for path in RULES
    }


def test_lint_finds_nothing_and_every_condition_matters_to_some_case() -> None:
    summary = check_rules(RULES, tables(), lint=True, others=dict(KnowledgeBase().rules))
    assert [str(problem) for problem in summary.problems] == []
    assert summary.rules == len(RULES)


def test_every_case_comes_out_as_it_says_and_unrelated_crashes_stay_unanswered() -> None:
    summary = check_rules(RULES, tables(), lint=False)
    assert [str(problem) for problem in summary.problems] == []
    assert summary.cases >= 3 * len(RULES)


def test_every_rule_and_test_is_in_the_common_format() -> None:
    from kbmatch.kb.authoring.case_files import path_of_test
    from kbmatch.kb.authoring.formatting import format_file

    files = [path for rule in RULES for path in (rule, path_of_test(rule))]
    assert [str(path) for path in files if len(set(format_file(path))) > 1] == []
