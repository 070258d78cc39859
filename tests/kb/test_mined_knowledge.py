"""The shipped mined rules: found again when paraphrased, silent on others' crashes, answers on a corpus reviewed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kbmatch.collectors.collect import collect
from kbmatch.engine.culprit import assign_culprits
from kbmatch.engine.diagnose import diagnose
from kbmatch.engine.document import Problems
from kbmatch.kb.authoring.evaluate import evaluate, silence
from kbmatch.kb.authoring.unrelated import unrelated_crashes
from kbmatch.kb.store.files import SHIPPED, find_files
from kbmatch.kb.store.knowledge import KnowledgeBase
from kbmatch.kb.store.mined import read_mined

REVIEWED = {
    "0169.log": (
        "cve-2026-22977",
        "the same copy of the error queue's address through put_cmsg from sock_recv_errqueue",
    ),
    "0475.log": (
        "cve-2022-48956",
        "the use after free in ip6_fragment that the record describes, on a kernel before its fix",
    ),
    "0637.log": ("cve-2022-49235", "the report is one of those that the fix names: hif_usb_send, uninitialised"),
    "0721.log": (
        "cve-2024-46782",
        "ila_nf_input on a freed table, the crash of the record, on the kernel before the fix",
    ),
}
"""Answers on logs of upstream test kernels, looked at one by one, and why each is right."""


@pytest.fixture(scope="module")
def knowledge() -> KnowledgeBase:
    return KnowledgeBase()


def test_every_fourth_rule_is_found_again_and_fires_on_no_other(shared: Path, knowledge: KnowledgeBase) -> None:
    rules = read_mined(find_files(SHIPPED).mined, Problems())
    found = evaluate(shared / "data" / "kernel-cves.jsonl.zst", rules, knowledge, every=4)
    assert found.own.asked > 900
    assert found.own.first / found.own.asked >= 0.96
    assert found.paraphrased.first / found.paraphrased.asked >= 0.95
    assert found.cross_fire < 0.01
    assert found.strangers / found.own.asked < 0.05


def test_crashes_of_no_known_defect_are_not_answered(knowledge: KnowledgeBase) -> None:
    tally, offenders = silence(unrelated_crashes(), knowledge)
    assert tally.asked > 100
    assert not offenders


def test_every_answer_on_the_console_corpus_was_reviewed(shared: Path, knowledge: KnowledgeBase) -> None:
    answers = {}
    for path in sorted((shared / "corpus" / "console").glob("*.log")):
        incident = collect([str(path)], knowledge)
        kernel = knowledge.products.identify(incident.kernel)
        events = assign_culprits(incident.events, knowledge.helper_frames)
        found = diagnose(replace(incident, kernel=kernel, events=events), knowledge, knowledge.products)
        given = [f.rule.id for f in found.findings if f.answers]
        if given:
            answers[path.name] = given[0]
    assert {name: rule for name, rule in answers.items() if REVIEWED.get(name, ("",))[0] != rule} == {}
