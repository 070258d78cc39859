"""The examples for other tools: they parse, and what can be run here does what it says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import types
from pathlib import Path

import pytest
import yaml

from kbmatch.cli.watch.journal import MESSAGE_ID, journal_fields

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "packaging"
CASE = ROOT / "examples/founding-case/dmesg.log"


@pytest.fixture
def path_with_kbmatch(tmp_path: Path) -> str:
    program = tmp_path / "bin/kbmatch"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m kbmatch.cli "$@"\n')
    program.chmod(0o755)
    return f"{program.parent}:{os.environ['PATH']}"


@pytest.mark.parametrize("script", sorted(EXAMPLES.rglob("*.sh")), ids=lambda path: path.name)
def test_shell_scripts_parse(script: Path) -> None:
    assert subprocess.run(["sh", "-n", str(script)], check=False).returncode == 0


def test_the_shell_recipe_prints_one_line_and_hands_on_the_status(path_with_kbmatch: str, tmp_path: Path) -> None:
    unknown = tmp_path / "unknown.log"
    unknown.write_text(CASE.read_text().replace("xennet_poll", "acme_poll"))
    results = {}
    for name, crash in (("known", CASE), ("unknown", unknown), ("absent", tmp_path / "absent")):
        command = [str(EXAMPLES / "shell/after-crash.sh"), str(crash), str(tmp_path / f"{name}.tar.gz")]
        results[name] = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            cwd=ROOT,
            env={**os.environ, "PATH": path_with_kbmatch},
        )
    assert [results[name].returncode for name in ("known", "unknown", "absent")] == [0, 1, 2]
    assert results["known"].stdout.startswith("known-issue: ")
    assert results["known"].stdout.count("\n") == 1
    assert "needs-escalation" in results["unknown"].stdout
    assert (tmp_path / "unknown.tar.gz").is_file()
    assert not (tmp_path / "known.tar.gz").exists()
    assert results["absent"].stdout == ""


def test_the_abrt_event_writes_a_report_and_never_fails_the_event(path_with_kbmatch: str, tmp_path: Path) -> None:
    text = (EXAMPLES / "abrt/kbmatch_event.conf").read_text()
    (command,) = re.findall(r"EVENT=post-create type=Kerneloops\n\s+(.*)", text)
    for content, there in ((CASE.read_text(), True), ("\x7fELF" + "\0" * 5000, False)):
        (tmp_path / "backtrace").write_text(content)
        run = subprocess.run(
            ["sh", "-c", command], cwd=tmp_path, check=False, env={**os.environ, "PATH": path_with_kbmatch}
        )
        assert run.returncode == 0
        assert (tmp_path / "kbmatch").is_file() == there


def test_the_ansible_play_names_the_commands_and_statuses_that_there_are() -> None:
    (play,) = yaml.safe_load((EXAMPLES / "ansible/kbmatch.yml").read_text())
    commands = [task["ansible.builtin.command"]["argv"] for task in play["tasks"] if "ansible.builtin.command" in task]
    assert [argv[:2] for argv in commands] == [["kbmatch", "core"], ["kbmatch", "escalate"]]
    if shutil.which("ansible-playbook"):
        command = ["ansible-playbook", "--syntax-check", str(EXAMPLES / "ansible/kbmatch.yml")]
        assert subprocess.run(command, check=False).returncode == 0


def test_the_sos_plugin_asks_for_reports_and_never_for_dumps(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    class Plugin:
        def add_copy_spec(self, what: list[str]) -> None:
            asked.extend(what)

        def add_cmd_output(self, what: list[str], **_: object) -> None:
            asked.extend(what)

        def add_forbidden_path(self, what: str) -> None:
            pass

    fake = types.ModuleType("sos.report.plugins")
    fake.Plugin, fake.IndependentPlugin = Plugin, type("IndependentPlugin", (), {})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sos.report.plugins", fake)
    space: dict[str, object] = {}
    exec((EXAMPLES / "sos/kbmatch.py").read_text(), space)
    space["Kbmatch"]().setup()  # type: ignore[operator]
    assert "/var/crash/*/kbmatch-report.*" in asked
    assert not [what for what in asked if "vmcore" in what]


def test_the_page_on_automation_names_every_journal_field_and_the_message_id() -> None:
    page = (ROOT / "docs/automation.md").read_text()
    record = dict.fromkeys(
        ("id", "outcome", "verdict", "rule", "title", "fixed", "release", "host", "input", "times_seen", "error"), "x"
    )
    fields = journal_fields({**record, "reports": ["x"], "fingerprint": {"culprit": "x", "frames": "x"}})
    assert MESSAGE_ID in page
    for name in fields:
        assert name.removeprefix("KBMATCH_") in page or name in ("PRIORITY", "SYSLOG_IDENTIFIER", "MESSAGE")
