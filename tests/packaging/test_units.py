"""The systemd units: valid, and, where this machine allows it, run under a real systemd in namespaces of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kbmatch.cli.watch.journal import MESSAGE_ID

ROOT = Path(__file__).resolve().parents[2]
UNITS = ROOT / "packaging/systemd"
Inside = Callable[..., subprocess.CompletedProcess[str]]


def test_systemd_finds_nothing_wrong_with_the_units(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("SYSTEMD ABSENT: the units go unverified")
    for unit in UNITS.iterdir():
        # the program is not installed here; its place is the one thing that may differ
        (tmp_path / unit.name).write_text(unit.read_text().replace("/usr/bin/kbmatch", "/bin/true"))
    command = ["systemd-analyze", "verify", "--man=no", *map(str, sorted(tmp_path.iterdir()))]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    complaints = [line for line in run.stderr.splitlines() if "kbmatch" in line]
    assert (run.returncode, complaints) == (0, [])


@pytest.mark.parametrize("unit", ["kbmatch-watch.service", "kbmatch-crash.service"])
def test_the_services_have_a_memory_cap_low_priority_and_no_network(unit: str) -> None:
    text = (UNITS / unit).read_text()
    for setting in (
        "MemoryMax=2G", "Nice=19", "CPUSchedulingPolicy=idle", "IOSchedulingClass=idle", "OOMPolicy=continue",
        "RestrictAddressFamilies=AF_UNIX", "ProtectSystem=strict", "NoNewPrivileges=yes",
    ):  # fmt: skip
        assert f"\n{setting}\n" in text


@pytest.fixture
def booted(tmp_path: Path) -> Iterator[Inside]:
    """A function that runs a command beside a systemd that has our units."""
    if os.geteuid() != 0 or not all(map(shutil.which, ("unshare", "nsenter", "findmnt"))):
        pytest.skip("NO ROOT or no util-linux: the units are not run under a real systemd")
    if not Path("/lib/systemd/systemd").exists():
        pytest.skip("SYSTEMD ABSENT: the units are not run")
    if any(path.is_relative_to(hidden) for path in (ROOT, Path(sys.executable)) for hidden in ("/tmp", "/var/tmp")):
        pytest.skip(f"CHECKOUT UNDER /tmp ({ROOT}): a booted systemd hides it, the units are not run")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    groups = [p / f"kbmatch-test-{os.getpid()}" for p in _cgroup_roots()]
    try:
        for group in groups:
            group.mkdir()
    except OSError as error:
        pytest.skip(f"NO CGROUPS ({error}): the units are not run under a real systemd")

    def join() -> None:
        for group in groups:
            (group / "cgroup.procs").write_text(str(os.getpid()))

    log = (tmp_path / "systemd.log").open("w")
    command = ["unshare", "-m", "-p", "-f", "-C", "-u", "-i", "--kill-child", "bash",
               str(Path(__file__).with_name("booted.sh")), str(scratch), str(ROOT), sys.executable]  # fmt: skip
    process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, preexec_fn=join)  # noqa: PLW1509

    def inside(*words: str) -> subprocess.CompletedProcess[str]:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        enter = ["nsenter", "-t", children[0], "-m", "-p", "-C", "-u", "-i"]
        return subprocess.run([*enter, *words], capture_output=True, text=True, check=False, timeout=60)

    try:
        for _ in range(60):
            time.sleep(0.5)
            if process.poll() is not None:
                break
            if inside("systemctl", "is-active", "kbmatch-crash.path").stdout.strip() == "active":
                yield inside
                return
        pytest.skip("NAMESPACES REFUSED: no systemd could be started here: " + (tmp_path / "systemd.log").read_text())
    finally:
        process.kill()
        process.wait()
        log.close()
        _remove(groups)


def _cgroup_roots() -> list[Path]:
    base = Path("/sys/fs/cgroup")
    found = [base / name for name in ("systemd", "unified") if (base / name).is_dir()]
    return found or [base]


def _remove(groups: list[Path]) -> None:
    for group in groups:
        for _ in range(50):
            try:
                for folder, _, _ in os.walk(group, topdown=False):
                    os.rmdir(folder)
                break
            except OSError:
                time.sleep(0.1)


@pytest.mark.slow
def test_a_crash_that_appears_is_diagnosed_by_the_units_under_a_real_systemd(booted: Inside) -> None:
    folder = "/var/crash/127.0.0.1-2026-11-23-04:00:00"
    log = str(ROOT / "examples/founding-case/dmesg.log")
    assert booted("mkdir", folder).returncode == 0
    assert booted("cp", log, f"{folder}/vmcore-dmesg.txt").returncode == 0
    journal = ""
    for _ in range(80):
        time.sleep(0.5)
        journal = booted("journalctl", "--no-pager", "-o", "verbose", f"MESSAGE_ID={MESSAGE_ID}").stdout
        if "KBMATCH_OUTCOME" in journal:
            break
    status = booted("systemctl", "status", "--no-pager", "kbmatch-crash.service").stdout
    assert "KBMATCH_OUTCOME=known-issue" in journal, status
    assert "_SYSTEMD_UNIT=kbmatch-crash.service" in journal
    reports = booted("ls", folder).stdout.split()
    assert reports == ["kbmatch-report.html", "kbmatch-report.json", "kbmatch-report.md", "vmcore-dmesg.txt"]
    # the report itself changes the folder: the path unit may start the service again, which finds nothing to do
    time.sleep(2)
    again = booted("journalctl", "--no-pager", "-o", "cat", f"MESSAGE_ID={MESSAGE_ID}").stdout
    assert again.count("\n") == 1
    assert booted("systemctl", "start", "kbmatch-watch.service").returncode == 0
    shown = booted("systemctl", "show", "kbmatch-watch.service", "-p", "MemoryMax,Nice,ActiveState").stdout.split()
    assert set(shown) == {"MemoryMax=2147483648", "Nice=19", "ActiveState=active"}
    assert booted("systemctl", "stop", "kbmatch-watch.service").returncode == 0
    assert "Result=success" in booted("systemctl", "show", "kbmatch-watch.service", "-p", "Result").stdout
