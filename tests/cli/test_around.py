"""What stands around a crash: troubles of a log without one, damage that came before, a host that lets wait."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kbmatch.cli.main import main

OOPS = (
    "[  201.100000] BUG: kernel NULL pointer dereference, address: 00000000000000b1\n"
    "[  201.100001] Oops: 0000 [#{number}] SMP NOPTI\n"
    "[  201.100002] CPU: 3 PID: 2100 Comm: acmed {taint} 6.1.5-acme #1\n"
    "[  201.100003] RIP: 0010:{where}+0x1f/0x40\n"
    "[  201.100004] Call Trace:\n"
    "[  201.100005]  vfs_acme+0x9d/0x190\n"
)
STALL = (
    "[  983.100000] watchdog: BUG: soft lockup - CPU#0 stuck for 26s! [acmed:1]\n"
    "[  983.100001] CPU: 0 PID: 1 Comm: acmed {taint} 6.1.5-acme #1\n"
    "[  983.100002] Hardware name: {machine}\n"
    "[  983.100003] RIP: 0010:acme_loop+0x1f/0x40\n"
)
VMWARE = "VMware, Inc. VMware Virtual Platform/440BX Desktop Reference Platform, BIOS 6.00 11/12/2020"
TROUBLES = {
    "a disk or its controller that fails": "nvme nvme1: I/O 775 QID 2 timeout, aborting",
    "a filesystem that is damaged": "EXT4-fs error (device sda1): ext4_lookup:1000: inode #2: comm acmed: x",
    "a graphics card that hangs": "amdgpu 0000:2d:00.0: ring gfx_0.0.0 timeout, signaled seq=1, emitted seq=2",
    "errors on PCI Express": "pcieport 0000:00:1c.0: AER: Uncorrected (Non-Fatal) error received: 0000:00:1c.0",
    "errors that the hardware reported": "EDAC MC0: 1 CE memory read error on CPU_SrcID#0",
    "a control group or a machine without memory": "memory: usage 1048576kB, limit 1048576kB, failcnt 141",
    "a server that does not answer": "nfs: server filer1 not responding, still trying",
    "a program that crashed, not the kernel": "acmed[7]: segfault at 38 ip 0000559 sp 00007ff error 6",
}


@pytest.fixture
def core(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Any:
    def run(log: str) -> str:
        path = tmp_path / "console.log"
        path.write_text(log)
        main(["core", str(path)])
        return " ".join(capsys.readouterr().out.split())

    return run


@pytest.mark.parametrize("words", TROUBLES)
def test_a_log_without_a_crash_says_what_else_it_shows(core: Any, words: str) -> None:
    out = core(f"[  100.000000] acme: all is well\n[  101.000000] {TROUBLES[words]}\n")
    assert out.startswith("NO CRASH")
    assert f"The log shows {words}" in out
    assert "(line 2)" in out
    assert "Nothing to diagnose" not in out


def test_a_log_of_nothing_says_so(core: Any) -> None:
    out = core("[  100.000000] I/O error, dev fd0, sector 0\n[  101.000000] acme: all is well\n")
    assert "Nothing to diagnose." in out
    assert "The log shows" not in out


@pytest.mark.parametrize(
    ("letter", "words"),
    [("D", "an oops (D)"), ("B", "a damaged page (B)"), ("M", "a machine check (hardware) (M)")],
)
def test_damage_that_the_log_does_not_show_is_named(core: Any, letter: str, words: str) -> None:
    out = core(OOPS.format(number=2, taint=f"Tainted: G {letter}", where="acme_f"))
    assert f"before it there was {words}, which this log does not show" in out


def test_damage_that_the_log_shows_is_not(core: Any) -> None:
    first = OOPS.format(number=1, taint="Not tainted", where="acme_f")
    assert "was not the first" not in core(first)
    assert "was not the first" not in core(first + OOPS.format(number=2, taint="Tainted: G D", where="acme_g"))
    assert "was not the first" not in core(first + STALL.format(taint="Tainted: G D", machine=VMWARE))
    assert "was not the first" in core(STALL.format(taint="Tainted: G D", machine=VMWARE))


def test_a_stall_on_a_virtual_machine_points_to_the_host(core: Any) -> None:
    assert "On a virtual machine the host comes first" in core(STALL.format(taint="Not tainted", machine=VMWARE))
    assert "the host comes first" not in core(
        STALL.format(taint="Not tainted", machine="Acme Inc. Server/Board, BIOS 1")
    )
    assert "the host comes first" not in core(OOPS.format(number=1, taint="Not tainted", where="acme_f"))


def test_the_name_of_a_family_is_no_caller(core: Any) -> None:
    out = core(STALL.format(taint="Not tainted", machine=VMWARE).replace("acme_loop", "smp_call_function_many_cond"))
    assert "smp_call_function_many_cond+0x1f/0x40" in out
    assert "called from smp_call_function" not in out
