"""kbmatch kb: its actions write where they are told, say what they did, and name what cannot be read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kbmatch.cli.main import main

TEXT = """BUG: kernel NULL pointer dereference, address: 0000000000000008
RIP: 0010:acme_clean+0x1b/0x20 [acme]
Call Trace:
 acme_poll+0x17/0x1d0 [acme]
 acme_irq+0x17/0x1d0 [acme]
"""


@pytest.fixture
def records(tmp_path: Path) -> Path:
    path = tmp_path / "records.jsonl"
    whole = {"id": "CVE-2099-10001", "title": "acme: fix", "files": ["drivers/acme/acme.c"], "description": TEXT}
    line = {**whole, "pairs": [["5.10", "a" * 40, "5.16", "b" * 40]]}
    path.write_text(
        json.dumps(line) + "\n" + json.dumps({**line, "id": "CVE-2099-10002", "description": "A leak."}) + "\n"
    )
    return path


def test_mine_prints_counts_and_reasons(records: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["kb", "mine", str(records), "--output", str(tmp_path / "kb")]) == 0
    printed = capsys.readouterr().out
    assert "2 records read, 1 rules in 1 files" in printed
    assert "1  the text quotes no crash" in printed
    assert "cve-2099-10001" in (tmp_path / "kb" / "mined" / "drivers.yaml").read_text()


def test_advisories_are_written_and_merged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    feed = tmp_path / "feed.json"
    events = [{"introduced": "0"}, {"fixed": "4.18.0-553.1.1.el8_10"}]
    ranges = [{"type": "ECOSYSTEM", "events": events}]
    affected = [{"package": {"ecosystem": "AlmaLinux:8", "name": "kernel"}, "ranges": ranges}]
    for number in (1, 2):
        record = {"id": f"ALSA-2099:{number}", "related": [f"CVE-2099-1000{number}"], "affected": affected}
        feed.write_text(json.dumps(record))
        arguments = ["kb", "advisories", str(feed), "--all-ids", "--output", str(tmp_path / "kb")]
        assert main(arguments) == 0
    assert "2 fixed versions for 2 CVE ids" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments", [["mine"], ["mine", "/nowhere"], ["advisories", "/nowhere"], ["evaluate", "/nowhere"]]
)
def test_what_cannot_be_read_is_an_error(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["kb", *arguments]) == 2
    assert capsys.readouterr().err.startswith("kbmatch: ")


def test_info_counts_curated_and_mined(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["kb", "info"]) == 0
    printed = capsys.readouterr().out
    assert "mined from the kernel's CVE records" in printed
