"""A panic without a function becomes a rule by its first words: drafted, filled in, checked, and found again."""

from __future__ import annotations

from pathlib import Path

import pytest

from kbmatch.cli.main import main
from kbmatch.engine.incident import Incident, Source
from kbmatch.engine.signature import Signature
from kbmatch.kb.authoring.drafting_panic import panic_leaf

LOG = """\
[    1.500000] lab: link lost
[    1.500001] Kernel panic - not syncing: lab array 7 of 9 has no spare
[    1.500002] CPU: 0 PID: 1 Comm: labd Not tainted 5.14.0-70.el9.x86_64 #1
"""


@pytest.mark.parametrize(
    ("reason", "leaf"),
    [
        ("lab array 7 of 9 has no spare", ("prefix", "lab array ")),
        ("lab array has no spare", ("is", "lab array has no spare")),
        ("LAB-fs (device sda2): gone", ("prefix", "LAB-fs ")),
        ("one two three four five six seven eight nine", ("prefix", "one two three four five six seven eight ")),
        ("stopped", ("is", "stopped")),
        ("0x7 stopped", None),
        ("", None),
    ],
)
def test_the_words_before_the_first_number_are_what_a_rule_asks_for(reason: str, leaf: tuple[str, str] | None) -> None:
    event = Signature("panic", "x", text=(f"Kernel panic - not syncing: {reason}",))
    assert panic_leaf(Incident(Source("x", "console", 0), events=(event,)), 0) == leaf


def test_the_draft_is_checked_and_speaks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log, rules = tmp_path / "crash.log", tmp_path / "rules"
    rules.mkdir()
    log.write_text(LOG)
    assert main(["rule", "new", str(log), "--output", str(rules)]) == 0
    rule = rules / "panic-lab-array.yaml"
    text = rule.read_text()
    assert 'panic: {prefix: "lab array "}  # guess' in text
    text = text.replace("TODO: what goes wrong, in one line", "the array gives up without a spare")
    rule.write_text(text.replace("TODO: first version with the fix; or remove this key", "5.14.0-80.el9"))
    capsys.readouterr()
    assert main(["rule", "lint", str(rules)]) == 0, capsys.readouterr().out
    assert main(["rule", "test", str(rules)]) == 0, capsys.readouterr().out
    assert main(["core", "--rules", str(rules), str(log)]) == 0
    assert "LIKELY" in capsys.readouterr().out
