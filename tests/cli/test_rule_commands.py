"""`kbmatch rule new, show, list`, `kbmatch explain` and site files, as their users run them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kbmatch.cli.main import main
from kbmatch.kb.store.files import SHIPPED

ROOT = Path(__file__).resolve().parents[2]
LOG = ROOT / "examples/founding-case/dmesg.log"
CRASH = ROOT / "docs/tutorial/crash.log"
SENTINEL = "xen-netfront-rsp-cons-sentinel"

Out = pytest.CaptureFixture[str]


def draft(folder: Path, *options: str, log: Path = CRASH) -> int:
    return main(["rule", "new", "--no-edit", "--output", str(folder), *options, str(log)])


def test_a_draft_names_its_guesses_and_what_is_left_to_fill(tmp_path: Path, capsys: Out) -> None:
    assert draft(tmp_path) == 0
    rule = (tmp_path / "lab-core-lab-ring-advance-null-deref.yaml").read_text()
    assert rule.count("# guess:") == 3
    assert rule.count("TODO") == 2
    assert capsys.readouterr().out.count("yours to fill") == 2


def test_a_draft_is_not_overwritten(tmp_path: Path, capsys: Out) -> None:
    assert draft(tmp_path) == 0
    assert draft(tmp_path) == 2
    assert "there already" in capsys.readouterr().err
    assert draft(tmp_path, "--force") == 0
    assert draft(tmp_path, "--id", "another-name") == 0
    assert (tmp_path / "another-name.test.yaml").is_file()


def test_the_excerpt_in_the_test_names_no_machine_and_no_person(tmp_path: Path) -> None:
    log = tmp_path / "crash.log"
    log.write_text(
        CRASH.read_text().replace("Comm: lab_writer", "Comm: lab_writer") + "Nov 23 03:00:00 web-prod-17 kernel: \n"
    )
    assert draft(tmp_path, log=log) == 0
    assert "web-prod-17" not in (tmp_path / "lab-core-lab-ring-advance-null-deref.test.yaml").read_text()


def test_a_crash_that_is_known_is_named(tmp_path: Path, capsys: Out) -> None:
    assert draft(tmp_path, log=LOG) == 0
    assert f"note: rule {SENTINEL} fits this crash already" in capsys.readouterr().out


def test_a_log_without_a_crash_or_without_functions_cannot_be_drafted(tmp_path: Path, capsys: Out) -> None:
    quiet = tmp_path / "quiet.log"
    quiet.write_text("[    0.000000] Linux version 6.1.0 (a@b) #1 SMP\n")
    assert draft(tmp_path, log=quiet) == 2
    bare = tmp_path / "bare.log"
    bare.write_text("[    1.000000] watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [labd:1]\n")
    assert draft(tmp_path, log=bare) == 2
    err = capsys.readouterr().err
    assert "no such crash event" in err
    assert "names no function" in err


def drafted_is_clean(log: Path, folder: Path, capsys: Out) -> bool:
    """Draft from a log, fill what is left, lint and test; False where the crash names no function."""
    if draft(folder, "--id", "drafted", "--force", log=log) != 0:
        return False
    path = folder / "drafted.yaml"
    text = path.read_text().replace('"TODO: what goes wrong, in one line"', "filled")
    text = text.replace(', fixed: "TODO: first version with the fix; or remove this key"', "")
    path.write_text(text.replace('"TODO: where this is known from: a ticket, a mail, a commit"', "https://a.example/1"))
    capsys.readouterr()
    lint, test = main(["rule", "lint", str(path)]), main(["rule", "test", str(path)])
    out = capsys.readouterr().out
    assert (lint, test) == (0, 0), f"{log}\n{out}\n{path.read_text()}"
    return True


def test_drafts_of_real_crashes_pass_once_filled(shared: Path, tmp_path: Path, capsys: Out) -> None:
    logs = sorted((shared / "corpus/console").glob("*.log"))[::25]
    crashes = [log for log in logs if json.loads(log.with_suffix(".json").read_text())["title"]]
    assert len(crashes) >= 7
    assert [log.name for log in crashes if not drafted_is_clean(log, tmp_path, capsys)] == []


def test_show_and_list(capsys: Out) -> None:
    assert main(["rule", "show", SENTINEL]) == 0
    out = capsys.readouterr().out
    assert "symbol is xennet_poll or xennet_get_responses" in out
    assert "uek5 1902: always, fixed in 4.14.35-1902.7.0" in out
    assert (
        main(["rule", "list", "netfront", "--status", "stable", "--function", "xennet_poll", "--format", "json"]) == 0
    )
    listed = json.loads(capsys.readouterr().out)
    assert SENTINEL in {rule["id"] for rule in listed}
    assert main(["rule", "list", "no such text anywhere"]) == 1
    assert main(["rule", "show", "xen-netfront-rsp-cons-sentinal"]) == 2
    assert f"did you mean '{SENTINEL}'?" in capsys.readouterr().err


def test_explain_shows_all_three_truth_values_and_where_each_fact_stands(capsys: Out) -> None:
    assert main(["explain", "xen-netfront-null-sring", str(LOG)]) == 1
    out = capsys.readouterr().out
    assert "[no ] address is 0x8 - it is 0x2c (line 1)" in out
    assert "[yes] kind is null-deref" in out
    assert "verdict: none" in out
    assert main(["explain", "xen-netfront-null-sring", str(CRASH), "--format", "json"]) == 1
    (judged,) = json.loads(capsys.readouterr().out)
    assert judged["verdict"] == "none"
    assert judged["state"][0]["truth"] == "unknown"
    assert main(["explain", SENTINEL, str(LOG)]) == 0


def site(folder: Path, text: str) -> Path:
    path = folder / "site.yaml"
    path.write_text("format: 1\n" + text)
    return path


def core(capsys: Out, *options: str) -> dict[str, object]:
    main(["core", str(LOG), "--format", "json", "--all", *options])
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


def test_a_site_file_disables_a_rule_and_the_report_names_it(tmp_path: Path, capsys: Out) -> None:
    path = site(tmp_path, f'disable:\n  - {{rule: {SENTINEL}, reason: "ours"}}\n')
    before, after = core(capsys), core(capsys, "--site", str(path))
    assert SENTINEL in {f["rule"] for f in before["findings"]}  # type: ignore[attr-defined,index]
    assert SENTINEL not in {f["rule"] for f in after["findings"]}  # type: ignore[attr-defined,index]
    assert after["kb"]["overrides"] == [f"{path} (disables {SENTINEL})"]  # type: ignore[index]
    assert after["kb"]["rules"] == before["kb"]["rules"] - 1  # type: ignore[index]
    main(["core", str(LOG), "--site", str(path)])
    assert f"with {path} (disables {SENTINEL})" in capsys.readouterr().out


def test_a_site_file_makes_an_exception_with_its_reason(tmp_path: Path, capsys: Out) -> None:
    path = site(tmp_path, f'exceptions:\n  - {{rule: {SENTINEL}, when: {{hypervisor: xen}}, reason: "patched"}}\n')
    found = core(capsys, "--site", str(path))
    verdicts = {f["rule"]: f["verdict"] for f in found["findings"]}  # type: ignore[attr-defined,index]
    assert verdicts[SENTINEL] == "excepted"
    assert f"patched ({path})" in json.dumps(found)


def test_the_default_site_file_is_used_where_it_is_there(
    tmp_path: Path, capsys: Out, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = site(tmp_path, f'disable:\n  - {{rule: {SENTINEL}, reason: "ours"}}\n')
    monkeypatch.setattr("kbmatch.kb.store.knowledge.DEFAULT_SITE", str(path))
    assert core(capsys)["kb"]["overrides"] == [f"{path} (disables {SENTINEL})"]  # type: ignore[index]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("disable:\n  - {rule: a}\n", "missing-key"),
        ("disabled: []\n", "unknown-key"),
        ("exceptions:\n  - {rule: a, when: {knd: bug}, reason: b}\n", "unknown-fact"),
    ],
)
def test_a_bad_site_file_is_an_error_with_its_place(tmp_path: Path, capsys: Out, text: str, code: str) -> None:
    path = site(tmp_path, text)
    assert main(["core", str(LOG), "--site", str(path)]) == 2
    err = capsys.readouterr().err
    assert f"{path}:" in err
    assert code in err


def test_lint_explains_a_code(capsys: Out) -> None:
    assert main(["rule", "lint", "--explain", "overlap"]) == 0
    assert "overlap (error): two rules fit the same crash" in capsys.readouterr().out


def test_a_shipped_rule_named_from_its_own_folder_is_no_duplicate_of_itself(
    capsys: Out, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(SHIPPED / "rules" / "xen-netfront")
    assert main(["rule", "lint", "."]) == 0
    assert capsys.readouterr().out.endswith(" rules: nothing wrong\n")


def test_explain_says_how_much_a_crash_resembles_a_mined_rule(capsys: Out, tmp_path: Path) -> None:
    log = tmp_path / "oops.log"
    log.write_text(
        "WARNING: CPU: 1 PID: 1 at drivers/pci/pcie/bwctrl.c:168 pcie_set_target_speed+0x198/0x270\n"
        "CPU: 1 PID: 1 Comm: swapper/0 Not tainted 6.15.1 #1\nCall Trace:\n"
        " pcie_failed_link_retrain+0x6e/0x109\n pci_device_add+0x139/0x5b0\n pci_scan_single_device+0xc7/0xf0\n"
    )
    assert main(["explain", "cve-2025-39784", str(log)]) == 0
    out = capsys.readouterr().out
    assert "resemblance 1.00" in out or "resemblance 0.9" in out
    assert "no function is known" not in out
    assert main(["explain", "cve-2024-42297", str(log)]) == 1
    assert "resemblance 0.00" in capsys.readouterr().out
