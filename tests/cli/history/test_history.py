"""The history counts crashes by bug, knows a crash again, and tells what an update of the knowledge made known."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from kbmatch.cli.main import main

ROOT = Path(__file__).resolve().parents[3]
LOG = (ROOT / "examples/founding-case/dmesg.log").read_text()
RULE = """\
format: 1
id: mine
title: Mine
status: test
severity: low
created: "2026-11-23"
description: d
signature: {symbol: acme_poll}
affected:
  - product: uek5
    ranges: [{stream: "1902", introduced: "0"}]
"""


@pytest.fixture
def history(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    def run(*words: object) -> tuple[int, str]:
        status = main(["history", *map(str, words), "--history", str(tmp_path / "h/history.sqlite")])
        return status, capsys.readouterr().out

    return run


def crash(folder: Path, name: str, *changes: tuple[str, str]) -> Path:
    text = LOG
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = folder / name
    path.write_text(text)
    return path


def bugs(history: Any, *words: str) -> list[dict[str, Any]]:
    _, out = history("list", "--format", "json", *words)
    found: list[dict[str, Any]] = json.loads(out)["bugs"]
    return found


def test_the_same_bug_on_two_builds_and_hosts_is_one_bug_seen_twice(history: Any, tmp_path: Path) -> None:
    one = crash(tmp_path, "one.log")
    two = crash(tmp_path, "two.log", ("1902.5.2", "1902.6.1"), ("xennet_poll+0x2bb/0xb30", "xennet_poll+0x2c3/0xb44"))
    os.utime(one, (1_600_000_000, 1_600_000_000))
    os.utime(two, (1_700_000_000, 1_700_000_000))
    assert history("add", one, "--host", "web1")[0] == 0
    assert history("add", two, "--host", "web2")[0] == 0
    (bug,) = bugs(history)
    assert bug["count"] == 2
    assert bug["hosts"] == ["web1", "web2"]
    assert bug["releases"] == ["4.14.35-1902.5.2.el7uek.x86_64", "4.14.35-1902.6.1.el7uek.x86_64"]
    assert (bug["first"], bug["last"]) == ("2020-09-13T12:26:40Z", "2023-11-14T22:13:20Z")
    assert len(bugs(history, "--depth", "frames")) == 1
    assert len(bugs(history, "--depth", "exact")) == 2
    status, out = history("show", bug["key"])
    assert status == 0
    assert out.count("\n") == 2


def test_the_same_crash_is_kept_once_whatever_its_file(history: Any, tmp_path: Path) -> None:
    crash(tmp_path, "one.log")
    crash(tmp_path, "copy.log")
    assert "seen for the first time" in history("add", tmp_path / "one.log")[1]
    assert "was kept already" in history("add", tmp_path / "copy.log")[1]
    (bug,) = bugs(history)
    assert bug["count"] == 1


def test_another_crash_of_the_same_machine_is_another_crash(history: Any, tmp_path: Path) -> None:
    history("add", crash(tmp_path, "one.log"))
    history("add", crash(tmp_path, "two.log", ("[3581719.", "[4581719.")))
    assert bugs(history)[0]["count"] == 2


def test_refresh_tells_what_became_known_and_only_once(history: Any, tmp_path: Path) -> None:
    logs, rules = tmp_path / "logs", tmp_path / "rules"
    logs.mkdir()
    rules.mkdir()
    history("add", crash(logs, "one.log", ("xennet_poll", "acme_poll")))
    assert bugs(history)[0]["judged"]["outcome"] == "needs-escalation"
    status, out = history("refresh")
    assert status == 1
    assert "0 crashes became known" in out
    (rules / "mine.yaml").write_text(RULE)
    status, out = history("refresh", "--rules", rules)
    assert status == 0
    assert "became known" in out
    assert "likely: mine" in out
    assert bugs(history)[0]["judged"]["rule"] == "mine"
    assert history("refresh", "--rules", rules)[0] == 1


def test_a_refresh_keeps_verdicts_that_hang_on_the_logs_text(history: Any, tmp_path: Path) -> None:
    logs, rules = tmp_path / "logs", tmp_path / "rules"
    logs.mkdir()
    rules.mkdir()
    (rules / "mine.yaml").write_text(
        RULE.replace("{symbol: acme_poll}", "{all: [{symbol: acme_poll}, {text: {contains: knlGS}}]}")
    )
    history("add", crash(logs, "one.log", ("xennet_poll", "acme_poll")), "--rules", rules)
    assert bugs(history)[0]["judged"]["verdict"] == "likely"
    assert history("refresh", "--rules", rules, "--format", "json")[0] == 1
    assert bugs(history)[0]["judged"]["verdict"] == "likely"


def test_the_database_is_for_its_owner_alone(history: Any, tmp_path: Path) -> None:
    history("add", crash(tmp_path, "one.log"))
    assert stat.S_IMODE((tmp_path / "h/history.sqlite").stat().st_mode) == 0o600


def test_an_unreadable_file_is_an_error_and_the_others_are_kept(history: Any, tmp_path: Path) -> None:
    assert history("add", tmp_path / "absent", crash(tmp_path, "one.log"))[0] == 2
    assert bugs(history)[0]["count"] == 1


def test_a_file_that_is_no_history_is_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.sqlite"
    path.write_bytes(b"not a database at all" * 100)
    assert main(["history", "list", "--history", str(path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
