"""Each crash is diagnosed once: killed at every step, growing dumps, locks, hostile dumps, deliveries that fail."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from hook_server import hook_server
from kbmatch.cli.main import main
from kbmatch.cli.watch.journal import datagram, journal_fields, send_to_journal
from kbmatch.cli.watch.ledger import MAX_FAILURES, Ledger, WatchError
from kbmatch.cli.watch.scan import Scanner
from kbmatch.cli.watch.watcher import Watcher, WatchOptions
from kbmatch.cli.watch.webhook import Webhook

ROOT = Path(__file__).resolve().parents[3]
LOG = (ROOT / "examples/founding-case/dmesg.log").read_text()
STEPS = ("found", "attempt", "diagnose", "diagnosed", "settled", "announce", "announced", "post", "posted")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "crash").mkdir()
    return tmp_path


def drop(place: Path, name: str = "127.0.0.1-2026-11-23", text: str = LOG) -> Path:
    folder = place / "crash" / name
    folder.mkdir(exist_ok=True)
    path = folder / "vmcore-dmesg.txt"
    path.write_text(text)
    return path


def options(place: Path, **more: Any) -> WatchOptions:
    return WatchOptions(spare=place / "spare", history=place / "history.sqlite", host="here", first_wait=0.01, **more)


def settled(place: Path, said: list[str] | None = None, *, ledger: Ledger | None = None, **more: Any) -> Watcher:
    """Run rounds until nothing is left to do."""
    own = ledger or Ledger(place / "watch.sqlite")
    say = said.append if said is not None else lambda text: None
    watcher = Watcher(Scanner([place / "crash"], 0.0), own, options(place, **more), say=say)
    for _ in range(30):
        watcher.look()
        if not watcher.waiting:
            break
        time.sleep(0.02)
    if ledger is None:
        own.__exit__(None, None, None)
    return watcher


def kept(place: Path) -> list[tuple[str, ...]]:
    with sqlite3.connect(place / "history.sqlite") as database:
        return list(database.execute("SELECT source, host, outcome FROM crash"))


def steps_taken(place: Path, url: str, kill_at: str) -> tuple[int, list[str]]:
    command = [sys.executable, str(Path(__file__).with_name("killed_watcher.py")), str(place), url, kill_at]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=ROOT, check=False)
    return run.returncode, run.stdout.split("\n")


@pytest.mark.parametrize("step", STEPS)
def test_a_watcher_killed_at_any_step_goes_on_there_and_diagnoses_once(place: Path, step: str) -> None:
    path = drop(place)
    with hook_server() as hook:
        status, before = steps_taken(place, hook.url, step)
        assert status == -signal.SIGKILL
        assert f"step {step}" in before
        status, after = steps_taken(place, hook.url, "never")
        assert status == 0
        _, again = steps_taken(place, hook.url, "never")
    assert [line for line in again if line.startswith("step")] == []  # a third start finds nothing to do
    assert kept(place) == [(str(path), "here", "known-issue")]
    reports = sorted(p.name for p in path.parent.iterdir())
    assert reports == ["kbmatch-report.html", "kbmatch-report.json", "kbmatch-report.md", "vmcore-dmesg.txt"]
    assert json.loads((path.parent / "kbmatch-report.json").read_text())["outcome"] == "known-issue"
    diagnosed = [*before, *after].count("step settled")
    assert diagnosed == 1
    # once, but where the kill came between the post and its note: then twice, with the same key
    assert len(hook.posts) == (2 if step == "posted" else 1)
    assert len({headers["Idempotency-Key"] for headers, _ in hook.posts}) == 1


def test_a_watcher_killed_at_random_moments_diagnoses_each_crash_once(place: Path) -> None:
    r = random.Random(7)
    paths = [drop(place, f"127.0.0.1-2026-11-0{i}", LOG.replace("[3581719.", f"[{i}581719.")) for i in range(1, 6)]
    command = [
        sys.executable, "-m", "kbmatch.cli", "watch", str(place / "crash"), "--once", "--settle", "0",
        "--interval", "0.05", "--state", str(place / "watch.sqlite"), "--history", str(place / "history.sqlite"),
    ]  # fmt: skip
    for _ in range(8):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=ROOT)
        time.sleep(r.uniform(0.05, 0.9))
        process.kill()
        process.wait()
    time.sleep(1)  # the last worker may have outlived its watcher
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=ROOT, check=False)
    assert run.returncode == 0
    assert "Traceback" not in run.stderr
    assert sorted(source for source, _, _ in kept(place)) == sorted(map(str, paths))
    for path in paths:
        assert json.loads((path.parent / "kbmatch-report.json").read_text())["findings"]
        assert not [p for p in path.parent.iterdir() if p.name.startswith(".") and p.suffix == ""]
    assert subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=ROOT, check=False).stdout == ""


def test_a_dump_that_still_grows_is_waited_for(place: Path, shared: Path) -> None:
    data = (shared / "dumps/a-napi.trim.zlib.vmcore").read_bytes()
    folder = place / "crash/127.0.0.1-2026"
    folder.mkdir()
    target = folder / "vmcore"
    done = threading.Event()

    def write() -> None:
        with target.open("wb", buffering=0) as file:
            for start in range(0, len(data), len(data) // 8 + 1):
                file.write(data[start : start + len(data) // 8 + 1])
                time.sleep(0.15)
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    too_early = 0
    with Ledger(place / "watch.sqlite") as ledger:
        watcher = Watcher(Scanner([place / "crash"], 0.3), ledger, options(place), say=lambda text: None)
        until = time.monotonic() + 30
        while not watcher.look() and time.monotonic() < until:
            time.sleep(0.03)
        too_early += not done.is_set()
        writer.join()
        found = json.loads((folder / "kbmatch-report.json").read_text())
        assert watcher.look() == 0
    assert too_early == 0
    assert found["source"]["bytes"] == len(data)
    assert len(kept(place)) == 1


def test_a_writer_that_pauses_longer_than_the_settling_time_is_still_waited_for(place: Path) -> None:
    path = drop(place)
    with path.open("a") as file, Ledger(place / "watch.sqlite") as ledger:
        watcher = Watcher(Scanner([place / "crash"], 0.0), ledger, options(place), say=lambda text: None)
        for _ in range(3):
            assert watcher.look() == 0
            assert watcher.waiting == 1
        file.write("[3581730.0] the rest\n")
    settled(place)
    assert len(kept(place)) == 1


@pytest.mark.parametrize("name", ["vmcore-incomplete", "vmcore.part", ".vmcore.Xy12", "vmcore.tmp"])
def test_a_file_that_is_called_incomplete_is_left_alone(place: Path, name: str) -> None:
    folder = place / "crash/127.0.0.1-2026"
    folder.mkdir()
    (folder / name).write_text(LOG)
    with Ledger(place / "watch.sqlite") as ledger:
        watcher = Watcher(Scanner([place / "crash"], 0.0), ledger, options(place))
        assert [watcher.look() for _ in range(3)] == [0, 0, 0]
    (folder / name).rename(folder / "vmcore-dmesg.txt")
    settled(place)
    assert len(kept(place)) == 1


def test_files_right_in_the_folder_are_crashes_of_their_own_and_reports_are_none(place: Path) -> None:
    (place / "crash/a.log").write_text(LOG)
    (place / "crash/b.log").write_text(LOG.replace("[3581719.", "[4581719."))
    (place / "crash/photo.jpg").write_bytes(b"\xff\xd8\xff\xe0" + bytes(5000))
    said: list[str] = []
    settled(place, said)
    settled(place, said)
    assert len(kept(place)) == 2
    assert len(said) == 2
    assert (place / "crash/a.log.kbmatch-report.html").is_file()


def test_a_dump_that_appears_beside_its_log_is_diagnosed_too_and_is_the_same_crash(place: Path, shared: Path) -> None:
    dump = shared / "dumps/a-napi.trim.zlib.vmcore"
    from kbmatch.collectors.dump import open_dump

    with open_dump(dump) as opened:
        drop(place, "127.0.0.1-2026", opened.log_text().decode())
    settled(place)
    (place / "crash/127.0.0.1-2026/vmcore").write_bytes(dump.read_bytes())
    settled(place)
    assert len(kept(place)) == 1
    found = json.loads((place / "crash/127.0.0.1-2026/kbmatch-report.json").read_text())
    assert found["source"]["path"].endswith("/vmcore")


def test_there_is_one_watcher_for_a_ledger(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Ledger(place / "watch.sqlite"):
        with pytest.raises(WatchError, match=f"process {os.getpid()}"):
            Ledger(place / "watch.sqlite")
        words = ["watch", str(place / "crash"), "--once", "--state", str(place / "watch.sqlite")]
        assert main(words) == 2
        assert "another kbmatch watch" in capsys.readouterr().err
    assert main([*words, "--no-history"]) == 0


def test_a_dump_that_ends_its_diagnosis_each_time_is_given_up(place: Path) -> None:
    drop(place)
    said: list[str] = []
    settled(place, said, timeout=0.001)
    assert sum("took more than" in line for line in said) == MAX_FAILURES
    assert "NOT READ" in said[-1]
    said.clear()
    settled(place, said)
    assert said == []


def test_an_unreadable_dump_is_told_once_and_the_others_are_diagnosed(place: Path) -> None:
    (place / "crash/127-a").mkdir()
    (place / "crash/127-a/vmcore").write_bytes(b"\x1f\x8b\x08\x00" + bytes(200))
    drop(place)
    said: list[str] = []
    settled(place, said)
    assert len([line for line in said if "127-a" in line and "NOT READ" in line]) == 1
    assert len(kept(place)) == 1


def test_reports_of_a_read_only_place_go_to_the_folder_named(place: Path) -> None:
    path = drop(place)
    settled(place, reports=place / "reports")
    assert [p.name for p in path.parent.iterdir()] == ["vmcore-dmesg.txt"]
    assert len(list((place / "reports").iterdir())) == 3


def test_a_webhook_that_fails_is_tried_again_and_gets_the_record_once(place: Path) -> None:
    drop(place)
    with hook_server() as hook:
        hook.answers += [503, 429, 500]
        settled(place, webhook=Webhook(hook.url))
        settled(place, webhook=Webhook(hook.url))
    assert len(hook.posts) == 4
    headers, record = hook.posts[-1]
    assert headers["Content-Type"] == "application/json"
    assert (record["schema"], record["outcome"], record["host"]) == ("kbmatch.crash/1", "known-issue", "here")
    assert record["diagnosis"]["schema"] == "kbmatch.diagnosis/1"
    assert record["fingerprint"]["culprit"].startswith("k1c-")


def test_a_webhook_that_refuses_or_sends_elsewhere_is_not_pressed_and_its_secrets_are_not_printed(place: Path) -> None:
    drop(place)
    said: list[str] = []
    with hook_server() as hook:
        hook.answers += [302]
        settled(place, said, webhook=Webhook(hook.url + "?token=verysecret"))
    assert len(hook.posts) == 1
    assert "given up" in said[-1]
    assert "verysecret" not in " ".join(said)


def test_a_webhook_that_does_not_answer_times_out_and_nothing_is_lost(place: Path) -> None:
    drop(place)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(5)
        hook = Webhook(f"http://127.0.0.1:{silent.getsockname()[1]}/", timeout=0.2)
        accepted, again, _ = hook.post({"id": "x"})
    assert (accepted, again) == (False, True)


def test_without_a_webhook_no_network_library_is_even_loaded(place: Path) -> None:
    drop(place)
    words = [
        "watch",
        str(place / "crash"),
        "--once",
        "--settle",
        "0",
        "--state",
        str(place / "w.sqlite"),
        "--no-history",
    ]
    code = f"import sys; from kbmatch.cli.main import main; main({words!r}); print('requests' in sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, cwd=ROOT, check=False
    )
    assert run.stdout.endswith("False\n")


def test_the_journal_gets_structured_fields(place: Path) -> None:
    drop(place, text=LOG.replace("Comm: swapper/0", "Comm: evil"))
    address = str(place / "journal.socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.bind(address)
        settled(place, journal=address)
        fields = dict(line.split("=", 1) for line in journal.recv(65536).decode().splitlines())
    assert fields["KBMATCH_OUTCOME"] == "known-issue"
    assert fields["KBMATCH_FINGERPRINT"].startswith("k1c-")
    assert fields["KBMATCH_REPORT"].endswith("kbmatch-report.html")
    assert fields["SYSLOG_IDENTIFIER"] == "kbmatch"
    assert fields["MESSAGE"].startswith("kbmatch: ")


def test_a_value_with_line_ends_cannot_forge_a_journal_field() -> None:
    fields = journal_fields({"id": "x", "input": "a\nKBMATCH_OUTCOME=known-issue", "summary": "s"})
    data = datagram(fields)
    text = b"a\nKBMATCH_OUTCOME=known-issue"
    assert b"KBMATCH_INPUT\n" + struct.pack("<Q", len(text)) + text + b"\n" in data
    with pytest.raises(OSError, match="No such file"):
        send_to_journal({"id": "x"}, "/nonexistent/socket")


def test_a_terminated_watcher_ends_in_order(place: Path) -> None:
    command = [sys.executable, "-m", "kbmatch.cli", "watch", str(place / "crash"), "--interval", "0.1", "--settle", "0"]
    command += ["--state", str(place / "w.sqlite"), "--no-history"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    drop(place)
    assert process.stdout is not None
    assert "known bug" in process.stdout.readline()
    process.terminate()
    assert process.wait(timeout=20) == 0


def test_a_folder_that_is_not_there_is_an_error_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["watch", str(tmp_path / "absent"), "--once"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
