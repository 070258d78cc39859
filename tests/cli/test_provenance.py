"""Every report says which knowledge it used: the day of its newest rule, how many rules, a digest."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kbmatch.cli.main import main
from kbmatch.kb.store.knowledge import KnowledgeBase, KnowledgeStamp

LOG = Path(__file__).resolve().parents[2] / "examples/founding-case/dmesg.log"


@pytest.mark.parametrize("form", ["text", "md", "html"])
def test_reports_for_readers_name_day_counts_and_digest(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    stamp = KnowledgeBase().stamp
    main(["core", str(LOG), "--format", form])
    out = capsys.readouterr().out
    for part in (stamp.version, f"{stamp.rules} rules", f"{stamp.curated} curated", stamp.digest, stamp.program):
        assert part in out


def test_the_contract_names_day_count_and_digest(capsys: pytest.CaptureFixture[str]) -> None:
    stamp = KnowledgeBase().stamp
    main(["core", str(LOG), "--format", "json"])
    assert json.loads(capsys.readouterr().out)["kb"] == {
        "version": stamp.version, "rules": stamp.rules, "digest": stamp.digest, "overrides": [],
    }  # fmt: skip


def test_a_newer_rule_of_a_folder_makes_the_knowledge_newer(tmp_path: Path) -> None:
    rule = tmp_path / "lab-rule.yaml"
    rule.write_text(
        'format: 1\nid: lab-rule\ntitle: x\nstatus: stable\nseverity: low\ncreated: "2097-01-31"\n'
        "description: x\nsignature: {symbol: lab_function}\n"
    )
    shipped, both = KnowledgeBase().stamp, KnowledgeBase([tmp_path]).stamp
    assert both.version == "2097-01-31" > shipped.version
    assert (both.rules, both.curated) == (shipped.rules + 1, shipped.curated + 1)
    assert both.line().endswith(f", with {tmp_path}")


def test_the_line_without_a_day_is_still_a_line() -> None:
    assert KnowledgeStamp("", 2, "ab", (), 1, "1.0").line() == "2 rules (1 curated), digest ab, kbmatch 1.0"
