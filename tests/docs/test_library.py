"""What docs/library.md shows runs, and prints what it says."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/library.md").read_text()


def test_the_examples_run_and_print_what_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(ROOT / "examples/founding-case/dmesg.log", tmp_path)
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 3
    names: dict[str, Any] = {}
    exec(compile(blocks[0], "docs/library.md", "exec"), names)  # the page's own code
    shown = re.search(r"^```text\n(.*?)\.\.\.\n```$", PAGE, re.MULTILINE | re.DOTALL)
    assert shown
    assert capsys.readouterr().out.startswith(shown[1])
    exec(compile(blocks[1], "docs/library.md", "exec"), names)
    assert "true kind is null-deref null-deref line 1" in capsys.readouterr().out
    exec(compile(blocks[2], "docs/library.md", "exec"), names)
    assert capsys.readouterr().out == "known-issue\n"


def test_a_few_rules_of_ones_own_are_enough(tmp_path: Path) -> None:
    from kbmatch.collectors import collect
    from kbmatch.engine import match
    from kbmatch.engine.culprit import HelperFrames
    from kbmatch.engine.products import Products
    from kbmatch.engine.rule import Rule
    from kbmatch.kb.store import load_rules

    own = load_rules().get("xen-netfront-null-sring")
    assert own is not None

    class Few:
        products = Products([])
        helper_frames = HelperFrames()

        def candidates(self, keys: object, probes: object) -> list[Rule]:
            return [own]

        def get(self, rule_id: str) -> Rule | None:
            return None

    log = tmp_path / "a.log"
    log.write_text(
        "BUG: kernel NULL pointer dereference, address: 0000000000000008\nOops: 0000 [#1] SMP\n"
        "CPU: 0 PID: 1 Comm: a Not tainted 6.0.1 #1\nRIP: 0010:xennet_poll+0x1/0x2\nCR2: 0000000000000008\n"
    )
    found = match(collect(log), Few()).findings
    assert [(f.rule.id, f.verdict.value) for f in found] == [(own.id, "possible")]
