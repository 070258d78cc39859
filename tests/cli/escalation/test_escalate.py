"""The pack: complete, without a secret in any file, with the same verdict, written whole or not at all."""

from __future__ import annotations

import html
import json
import stat
import tarfile
from pathlib import Path
from typing import Any

import pytest

from kbmatch.cli.main import main
from seeded_secrets import seeded_lines

ROOT = Path(__file__).resolve().parents[3]
CASE = ROOT / "examples/founding-case"
LOG = (CASE / "dmesg.log").read_text()
FILES = {
    "report.html", "report.md", "report.txt", "diagnosis.json", "signature.json", "log.txt", "not-checked.md",
    "verify-by-hand.md", "MANIFEST.json",
}  # fmt: skip


def escalate(*words: object) -> int:
    return main(["escalate", *map(str, words)])


def packed(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def verdicts(found: dict[str, Any]) -> list[tuple[str, str, str | None]]:
    return [(f["rule"], f["verdict"], f["recommend"]["version"]) for f in found["findings"]]


@pytest.mark.parametrize("seed", [11, 12, 13])
def test_a_pack_of_a_log_with_204_secrets_of_12_sorts_holds_none_and_says_the_same(
    seed: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seeded = seeded_lines(seed)
    half = len(seeded.lines) // 2
    log = tmp_path / "console.log"
    log.write_text("\n".join([*seeded.lines[:half], LOG.rstrip("\n"), *seeded.lines[half:]]) + "\n")
    assert escalate(log, "-o", tmp_path / "pack") == 0
    files = packed(tmp_path / "pack")
    assert set(files) == FILES
    assert len(set(seeded.all())) >= 200
    for name, text in files.items():
        plain = html.unescape(text).lower()
        assert [s for s in seeded.all() if s.lower() in plain] == [], name
    names = json.loads((tmp_path / "pack.map.json").read_text())["names"]
    assert len(names) >= 200
    capsys.readouterr()
    assert main(["core", str(log), "--format", "json"]) == 0
    original = json.loads(capsys.readouterr().out)
    assert main(["core", str(tmp_path / "pack/log.txt"), "--format", "json"]) == 0
    redacted = json.loads(capsys.readouterr().out)
    assert verdicts(redacted) == verdicts(original)
    assert redacted["kernel"] == original["kernel"]
    for before, after in zip(original["events"], redacted["events"], strict=True):
        assert {k: v for k, v in after.items() if k != "message"} == {k: v for k, v in before.items() if k != "message"}
    assert json.loads(files["MANIFEST.json"])["redaction"]["same_verdict_from_log"] is True


def test_the_map_stays_behind_and_is_for_its_owner_alone(tmp_path: Path) -> None:
    assert escalate(CASE / "dmesg.log", "-o", tmp_path / "p.tar.gz") == 0
    path = tmp_path / "p.tar.gz.map.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with tarfile.open(tmp_path / "p.tar.gz") as archive:
        assert {Path(name).name for name in archive.getnames()} == FILES
        assert {(m.uid, m.uname, m.mtime) for m in archive.getmembers()} == {(0, "", 0)}


def test_the_host_of_a_session_is_redacted_in_every_file_and_the_driver_state_stays(tmp_path: Path) -> None:
    text = (CASE / "crash-session.txt").read_text().replace("CPUS: 24", "NODENAME: falconprod7\n        CPUS: 24")
    session = tmp_path / "falconprod7-session.txt"
    session.write_text(text)
    assert escalate(session, "-o", tmp_path / "pack") == 0
    files = packed(tmp_path / "pack")
    assert not [name for name, content in files.items() if "falconprod7" in content]
    found = json.loads(files["diagnosis.json"])
    assert found["machine"]["hostname"].startswith("host-")
    assert found["findings"][0]["verdict"] == "confirmed"
    assert "crash> struct netfront_queue 0xffff98c023924528" in files["verify-by-hand.md"]
    assert '>>> q = Object(prog, "struct netfront_queue *", 0xffff98c023924528)' in files["verify-by-hand.md"]


def test_words_of_the_user_are_gone_from_every_file(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_text(LOG + "[3581720.0] falcon: module of ACME Corp loaded\n")
    words = tmp_path / "words"
    words.write_text("acme corp\n\n")
    assert (
        escalate(log, "-o", tmp_path / "pack", "--redact-words", "Falcon,nothing", "--redact-words", f"@{words}") == 0
    )
    for name, text in packed(tmp_path / "pack").items():
        assert "falcon" not in text.lower(), name
        assert "acme" not in text.lower(), name


def test_a_dumps_pack_holds_its_log_and_no_other_memory(shared: Path, tmp_path: Path) -> None:
    dump = shared / "dumps/a-napi.trim.zlib.vmcore"
    assert escalate(dump, "-o", tmp_path / "pack") == 0
    files = packed(tmp_path / "pack")
    assert set(files) == FILES
    assert "Call Trace" in files["log.txt"]
    assert sum(len(text) for text in files.values()) < 2_000_000
    state = json.loads(files["signature.json"])["state"]
    asked = {
        probe
        for finding in json.loads(files["diagnosis.json"])["findings"]
        for probe in [leaf["label"] for leaf in finding["explanation"]["state"]]
    }
    assert {f"a record of {name}" for name in state} <= asked


def test_an_unknown_crash_makes_a_pack_with_its_fingerprint_and_the_rule_command(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_text(LOG.replace("xennet_poll", "acme_poll"))
    assert escalate(log, "-o", tmp_path / "pack") == 0
    files = packed(tmp_path / "pack")
    assert json.loads(files["MANIFEST.json"])["outcome"] == "needs-escalation"
    assert "kbmatch rule new" in files["report.md"]
    assert json.loads(files["MANIFEST.json"])["fingerprint"]["culprit"] in files["report.html"]


def test_what_is_there_is_not_replaced_unless_forced_and_never_a_folder_that_is_no_pack(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "letter.txt").write_text("dear")
    assert escalate(CASE / "dmesg.log", "-o", mine) == 2
    assert escalate(CASE / "dmesg.log", "-o", mine, "--force") == 2
    assert (mine / "letter.txt").read_text() == "dear"
    assert escalate(CASE / "dmesg.log", "-o", tmp_path / "p") == 0
    assert escalate(CASE / "dmesg.log", "-o", tmp_path / "p") == 2
    assert escalate(CASE / "dmesg.log", "-o", tmp_path / "p", "--force") == 0
    assert "Traceback" not in capsys.readouterr().err
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_without_redaction_all_stays_and_the_manifest_says_so(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_text("Nov 23 03:59:16 web07 kernel: [    1.0] nothing\n" + LOG)
    assert escalate(log, "-o", tmp_path / "pack", "--no-redaction") == 0
    files = packed(tmp_path / "pack")
    assert "web07" in files["log.txt"]
    assert json.loads(files["MANIFEST.json"])["redaction"]["done"] is False
    assert not (tmp_path / "pack.map.json").exists()
