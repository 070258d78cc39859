"""`kbmatch core` as its users run it: the founding case and its variations, bad input, exit statuses."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kbmatch.cli.main import main

ROOT = Path(__file__).resolve().parents[2]
CASE = ROOT / "examples/founding-case"
LOG = (CASE / "dmesg.log").read_text()
SENTINEL, BEHIND, SRING = "xen-netfront-rsp-cons-sentinel", "xen-netfront-rsp-cons-behind", "xen-netfront-null-sring"

Run = tuple[int, str, str]


@pytest.fixture
def core(capsys: pytest.CaptureFixture[str]) -> Any:
    def run(*arguments: str | Path) -> Run:
        status = main(["core", *map(str, arguments)])
        out, err = capsys.readouterr()
        return status, out, err

    return run


def diagnose(core: Any, path: Path, *options: str) -> tuple[int, dict[str, Any]]:
    status, out, err = core(path, "--format", "json", *options)
    assert err == ""
    return status, json.loads(out)


def verdicts(found: dict[str, Any]) -> dict[str, str]:
    return {finding["rule"]: finding["verdict"] for finding in found["findings"]}


def variant(folder: Path, old: str, new: str) -> Path:
    assert old in LOG
    path = folder / "dmesg.log"
    path.write_text(LOG.replace(old, new))
    return path


def test_the_log_alone_confirms_one_sibling_by_the_registers(core: Any) -> None:
    status, found = diagnose(core, CASE / "dmesg.log", "--all")
    assert (status, found["outcome"]) == (0, "known-issue")
    assert verdicts(found) == {SENTINEL: "confirmed", BEHIND: "refuted"}
    state = found["state"]["xen-netfront.rx-rings"]
    assert state["origin"] == "registers"
    assert state["records"] == [{"at": None, "values": {"rsp-cons": 0xFFFFFFFF, "waiting": 1}, "addresses": {}}]
    evidence = {e["fact"]: e for e in found["findings"][0]["evidence"]}
    assert evidence["xen-netfront.rx-rings/rsp-cons"]["source"] == "register rdi"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("R13: 0000000000000001", "R13: 0000000000000002"),  # not the packet's first slot: RDI is no index any more
        ("RBX: 0000000000000000", "RBX: ffff98c025b5a800"),
        ("RSI: ffff98c023924d20", "RSI: ffff98c023924d28"),
        ("8b> 7b 2c 85", "8b> 7b 30 85"),  # another build's code
    ],
)
def test_registers_that_do_not_fit_or_another_builds_code_prove_nothing(
    core: Any, tmp_path: Path, old: str, new: str
) -> None:
    status, found = diagnose(core, variant(tmp_path, old, new))
    assert (status, found["state"]) == (0, {})
    assert verdicts(found) == {SENTINEL: "likely", BEHIND: "likely"}


@pytest.mark.parametrize("index", [0xFFFFFFFE, 0xFFFFFFED])
def test_any_index_that_the_last_packet_before_the_wrap_can_begin_with_confirms(
    core: Any, tmp_path: Path, index: int
) -> None:
    text = LOG.replace("RDI: 00000000ffffffff", f"RDI: {index:016x}", 1)
    text = text.replace("R09: 0000000000000000", f"R09: {index + 1:016x}", 1)
    text = text.replace("RSI: ffff98c023924d20", f"RSI: {0xFFFF98C023924528 + 8 * (index & 255):016x}", 1)
    (tmp_path / "dmesg.log").write_text(text)
    _, found = diagnose(core, tmp_path / "dmesg.log")
    assert verdicts(found) == {SENTINEL: "confirmed"}


def test_without_registers_the_two_index_siblings_are_likely(core: Any, tmp_path: Path) -> None:
    path = tmp_path / "dmesg.log"
    path.write_text(
        "".join(line for line in LOG.splitlines(keepends=True) if "RAX:" not in line and "RDI:" not in line)
    )
    status, found = diagnose(core, path)
    assert (status, found["outcome"]) == (0, "known-issue")
    assert verdicts(found) == {SENTINEL: "likely", BEHIND: "likely"}
    for finding in found["findings"]:
        assert finding["recommend"] == {
            "action": "upgrade",
            "product": "uek5",
            "version": "4.14.35-1902.7.0",
            "commands": ["sudo yum install kernel-uek-4.14.35-1902.7.0.el7uek"],
        }
        assert {e["fact"]: e["value"] for e in finding["evidence"]} == {
            "kind": "null-deref",
            "symbol": "xennet_poll",
            "address": 0x2C,
        }


def test_the_text_says_what_would_tell_the_siblings_apart_and_why_the_third_is_out(core: Any, tmp_path: Path) -> None:
    status, out, _ = core(variant(tmp_path, "R13: 0000000000000001", "R13: 0000000000000002"))
    text = " ".join(out.split())
    assert status == 0
    assert text.startswith("LIKELY one of 2 known bugs")
    assert "The driver's state in memory would" in text
    assert f"Ruled out: {SRING}" in text
    assert "it needs address is 0x8, here it is 0x2c" in text
    assert "the founding write-up alone" in text
    assert "4.14.35-1902.7.0 or later, then reboot" in text


def test_the_transcript_confirms_one_sibling_and_refutes_the_other(core: Any) -> None:
    status, found = diagnose(core, CASE / "crash-session.txt", "--all")
    assert (status, found["outcome"]) == (0, "known-issue")
    assert verdicts(found) == {SENTINEL: "confirmed", BEHIND: "refuted"}
    evidence = {e["fact"]: e for e in found["findings"][0]["evidence"]}
    assert evidence["xen-netfront.rx-rings/rsp-cons"]["value"] == 0xFFFFFFFF
    assert evidence["xen-netfront.rx-rings/rsp-cons"]["source"].startswith("line ")
    assert found["state"]["xen-netfront.rx-rings"]["origin"] == "transcript"
    siblings = {s["rule"]: s for s in found["findings"][0]["explanation"]["differential"]}
    assert siblings[BEHIND]["verdict"] == "refuted"
    assert siblings[SRING]["verdict"] is None
    assert siblings[SRING]["separated_by"][0]["label"] == "address is 0x8"


def test_a_refuted_sibling_is_no_finding_of_its_own_without_all(core: Any) -> None:
    _, found = diagnose(core, CASE / "crash-session.txt")
    assert verdicts(found) == {SENTINEL: "confirmed"}
    _, out, _ = core(CASE / "crash-session.txt")
    assert f"Refuted: {BEHIND}" in " ".join(out.split())


def test_on_a_fixed_kernel_the_registers_still_confirm_and_the_versions_conflict(core: Any, tmp_path: Path) -> None:
    status, found = diagnose(core, variant(tmp_path, "1902.5.2", "1902.8.4"))
    assert (status, found["outcome"]) == (1, "needs-escalation")
    assert verdicts(found) == {SENTINEL: "confirmed"}
    (finding,) = found["findings"]
    assert finding["version_conflict"] is True
    assert finding["recommend"]["action"] == "escalate"


def test_on_a_fixed_kernel_without_registers_it_is_already_fixed(core: Any, tmp_path: Path) -> None:
    text = LOG.replace("1902.5.2", "1902.8.4").replace("R13: 0000000000000001", "R13: 0000000000000002")
    (tmp_path / "dmesg.log").write_text(text)
    status, found = diagnose(core, tmp_path / "dmesg.log")
    assert (status, found["outcome"]) == (1, "needs-escalation")
    assert verdicts(found) == {SENTINEL: "already-fixed", BEHIND: "already-fixed"}
    assert all(f["recommend"]["action"] == "escalate" for f in found["findings"])


def test_on_an_unknown_vendors_kernel_it_is_confirmed_without_a_version(core: Any, tmp_path: Path) -> None:
    status, found = diagnose(core, variant(tmp_path, "4.14.35-1902.5.2.el7uek.x86_64", "4.14.35-acme7"))
    assert (status, found["outcome"]) == (0, "known-issue")
    assert verdicts(found) == {SENTINEL: "confirmed"}
    assert found["findings"][0]["recommend"]["version"] is None
    assert found["kernel"]["product"] is None


def test_with_cr2_8_it_is_the_null_sring_sibling(core: Any, tmp_path: Path) -> None:
    _, found = diagnose(core, variant(tmp_path, "000000000000002c", "0000000000000008"))
    assert list(verdicts(found)) == [SRING]
    assert found["findings"][0]["aliases"] == ["CVE-2022-48969"]


def test_memory_that_shows_the_bug_in_a_fixed_kernel_escalates(core: Any, tmp_path: Path) -> None:
    text = (CASE / "crash-session.txt").read_text().replace("1902.5.2", "1902.8.4")
    (tmp_path / "session.txt").write_text(text)
    status, found = diagnose(core, tmp_path / "session.txt")
    assert (status, found["outcome"]) == (1, "needs-escalation")
    assert found["findings"][0]["verdict"] == "confirmed"
    assert found["findings"][0]["version_conflict"] is True


def test_a_signature_file_gives_the_same_diagnosis_as_the_input(
    core: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("dmesg.log", "crash-session.txt"):
        assert main(["signature", str(CASE / name)]) == 0
        frozen = tmp_path / "frozen.json"
        frozen.write_text(capsys.readouterr().out)
        _, direct = diagnose(core, CASE / name)
        _, thawed = diagnose(core, frozen)
        assert verdicts(thawed) == verdicts(direct)
        assert thawed["events"] == direct["events"]
        assert thawed["kernel"] == direct["kernel"]


def test_standard_input_is_read(core: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(LOG.encode())))
    status, out, _ = core("-", "--format", "json")
    assert status == 0
    assert json.loads(out)["source"]["path"] == "-"


def test_a_folder_means_its_newest_crash(core: Any, tmp_path: Path) -> None:
    old, new = tmp_path / "127.0.0.1-2026-01-01", tmp_path / "127.0.0.1-2026-02-01"
    for folder, text, when in ((old, "[1.0] nothing\n", 1000), (new, LOG, 2000)):
        folder.mkdir()
        (folder / "vmcore-dmesg.txt").write_text(text)
        (folder / "photo.jpg").write_bytes(b"\xff\xd8\xff\xe0" + bytes(100))
        os.utime(folder / "vmcore-dmesg.txt", (when, when))
    status, out, _ = core(tmp_path, "--format", "json")
    found = json.loads(out)
    assert status == 0
    assert found["source"]["path"] == str(new / "vmcore-dmesg.txt")
    assert "newest crash in" in found["notes"][0]["text"]


def test_a_log_of_which_nothing_is_known_is_handed_over_with_its_facts(core: Any, tmp_path: Path) -> None:
    status, out, _ = core(variant(tmp_path, "xennet_poll", "acme_poll"))
    assert status == 1
    assert out.startswith("NOT KNOWN")
    assert "acme_poll+0x2bb/0xb30" in out
    assert "Escalate" in out


@pytest.mark.parametrize("text", ["", "\n", "hello world\nthis is a letter\n", "[    1.0] usb 1-1: new device\n"])
def test_a_text_without_a_crash_is_no_crash(core: Any, tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.log"
    path.write_text(text)
    status, found = diagnose(core, path)
    assert (status, found["outcome"], found["events"], found["findings"]) == (1, "no-crash", [], [])
    status, out, err = core(path)
    assert (status, err) == (1, "")
    assert out.startswith("NO CRASH")


def one_clear_line(run: Run, *words: str) -> None:
    status, out, err = run
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert err.startswith("kbmatch: ")
    assert "Traceback" not in err
    for word in words:
        assert word in err


def test_a_picture_is_refused_in_one_line(core: Any, tmp_path: Path) -> None:
    path = tmp_path / "vmcore"
    path.write_bytes(b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(range(256)) * 20)
    one_clear_line(core(path), str(path), "JPEG")


def test_a_missing_file_and_an_empty_folder_are_errors_in_one_line(core: Any, tmp_path: Path) -> None:
    one_clear_line(core(tmp_path / "absent"), "absent", "No such file")
    one_clear_line(core(tmp_path), str(tmp_path), "no dump and no log")


def test_a_broken_rule_file_is_an_error_with_its_place(core: Any, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("format: 1\nid: bad\ntitle: [\n")
    one_clear_line(core(CASE / "dmesg.log", "--rules", tmp_path), "bad.yaml:4:1: yaml: ")


def test_a_broken_signature_file_names_the_path(core: Any, tmp_path: Path) -> None:
    path = tmp_path / "frozen.json"
    path.write_text('{"schema": "kbmatch.signature/1", "source": {}}')
    one_clear_line(core(path), str(path), "$.source.path")


def test_an_own_rule_takes_part_and_the_report_names_its_folder(core: Any, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(
        'format: 1\nid: mine\ntitle: Mine\nstatus: test\nseverity: low\ncreated: "2026-11-23"\ndescription: d\n'
        "signature: {symbol: acme_poll}\n"
        'affected:\n  - product: uek5\n    ranges: [{stream: "1902", introduced: "0"}]\n'
    )
    folder = tmp_path / "logs"
    folder.mkdir()
    path = variant(folder, "xennet_poll", "acme_poll")
    status, found = diagnose(core, path, "--rules", str(tmp_path))
    assert status == 0
    assert verdicts(found) == {"mine": "likely"}
    assert found["kb"]["overrides"] == [str(tmp_path)]


def test_nothing_of_a_hostile_log_reaches_the_terminal_raw(core: Any, tmp_path: Path) -> None:
    path = variant(tmp_path, "Comm: swapper/0", "Comm: \x1b[31mevil\u202e")
    _, out, _ = core(path)
    assert "\x1b" not in out
    assert "\u202e" not in out


def test_the_command_is_quiet_when_its_reader_goes_away() -> None:
    command = f"{sys.executable} -m kbmatch.cli core {CASE / 'dmesg.log'} --all --format json | head -n 1"
    run = subprocess.run(["bash", "-c", command], check=False, capture_output=True, text=True, cwd=ROOT)
    assert run.stdout == "{\n"
    assert run.stderr == ""


TORN = """\
BUG: kernel NULL pointer dereference, address: 000000000000002c
RIP: 0010:xennet_poll+0x2bb/0xb30 [xen_netfront]
Call Trace:
 net_rx_action+0x289/0x3f4
 __do_softirq+0xd9/0x2b1
"""


def test_a_log_that_does_not_say_which_kernel_ran_asks_for_it_and_takes_it(core: Any, tmp_path: Path) -> None:
    log = tmp_path / "oops.txt"
    log.write_text(TORN)
    status, out, _ = core(log)
    assert status == 1
    assert f"kbmatch core --kernel RELEASE {log}" in out
    status, found = diagnose(core, log, "--kernel", "4.14.35-1902.5.2.el7uek.x86_64")
    assert (status, found["outcome"], found["kernel"]["product"]) == (0, "known-issue", "uek5")
    assert {f["verdict"] for f in found["findings"]} == {"likely"}
    assert any("told by --kernel" in note["text"] for note in found["notes"])


def test_a_told_kernel_beats_what_the_log_says_and_that_is_noted(core: Any) -> None:
    _, found = diagnose(core, CASE / "dmesg.log", "--kernel", "4.14.35-1902.8.4.el7uek.x86_64")
    assert found["kernel"]["release"] == "4.14.35-1902.8.4.el7uek.x86_64"
    assert found["findings"][0]["version_conflict"] is True
    (note,) = [note for note in found["notes"] if "--kernel" in note["text"]]
    assert note["level"] == "warning"
    assert "1902.5.2" in note["text"]


def test_what_is_no_release_is_refused(core: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        core(CASE / "dmesg.log", "--kernel", "mine")
    assert stopped.value.code == 2
    assert "what uname -r prints" in capsys.readouterr().err
