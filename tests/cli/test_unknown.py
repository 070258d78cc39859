"""What a report says of a crash that no rule explains: what to look at first, and nothing that is far."""

from __future__ import annotations

from pathlib import Path

import pytest

from kbmatch.cli.main import main

LOG = """\
BUG: kernel NULL pointer dereference, address: 0000000000000250
#PF: supervisor read access in kernel mode
Oops: Oops: 0000 [#1] SMP PTI
CPU: 8 UID: 0 PID: 302 Comm: kworker/8:1 Not tainted 6.12.1 #14
RIP: 0010:{symbol}+0x37/0x90
Call Trace:
 <TASK>
 {caller}+0x37/0x2c0
 process_one_work+0x13f/0x330
 worker_thread+0x25a/0x370
 kthread+0xdc/0x110
 ret_from_fork+0x2f/0x50
 ret_from_fork_asm+0x1a/0x30
 </TASK>
---[ end trace 0000000000000000 ]---
"""


def report(folder: Path, capsys: pytest.CaptureFixture[str], symbol: str, caller: str) -> str:
    log = folder / "console.log"
    log.write_text(LOG.format(symbol=symbol, caller=caller))
    assert main(["core", str(log)]) == 1
    return " ".join(capsys.readouterr().out.split())


def test_rules_about_the_same_code_are_named_as_worth_a_look(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = report(tmp_path, capsys, "hub_of_the_moon", "hub_event")
    assert shown.startswith("NOT KNOWN")
    assert "Worth a look, though it is not the same trace (" in shown
    assert "function hub_event" in shown


def test_a_kind_and_a_caller_that_everybody_has_make_no_rule_near(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = report(tmp_path, capsys, "moon_of_the_hub", "sun_of_the_hub")
    assert "Nearest rule:" not in shown
    assert "Worth a look" not in shown
    assert "No rule of the knowledge base has anything in common with this crash." in shown
