"""A crash without its CPU line takes the kernel that the ticket around it names, never one out of prose."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbmatch.collectors.logs.console import read_log

CRASH = """\
BUG: kernel NULL pointer dereference, address: 000000000000002c
RIP: 0010:acme_poll+0x2bb/0xb30 [acme]
Call Trace:
 net_rx_action+0x289/0x3f4
 __do_softirq+0xd9/0x2b1
"""


@pytest.mark.parametrize(
    ("told", "release"),
    [
        ("Linux web1 6.1.0-18-amd64 #1 SMP Debian 6.1.76-1 (2024-02-01) x86_64 GNU/Linux", "6.1.0-18-amd64"),
        ("> Kernel Version: 6.3.0-rc2", "6.3.0-rc2"),
        ("**Kernel version:** `5.15.90.1-microsoft-standard-WSL2`", "5.15.90.1-microsoft-standard-WSL2"),
        ("- Kernel: Linux 6.1.0-18-amd64 (SMP w/8 CPU threads; PREEMPT)", "6.1.0-18-amd64"),
        ("Uname: Linux 5.15.0-91-generic x86_64", "5.15.0-91-generic"),
        ("Command line: BOOT_IMAGE=(hd0,gpt2)/vmlinuz-5.17.5-300.fc36.x86_64 root=/dev/sda1", "5.17.5-300.fc36.x86_64"),
        ("$ uname -r\n6.6.8-arch1-1", "6.6.8-arch1-1"),
        ("| Kernel | 6.6.8-arch1-1 |", "6.6.8-arch1-1"),
        ("kernel: 5.10.0-rc7+", "5.10.0-rc7+"),
    ],
)
def test_a_field_of_the_ticket_names_the_kernel(told: str, release: str) -> None:
    for text in (f"{told}\n\n{CRASH}", f"{CRASH}\n{told}\n"):
        reading = read_log(text.encode())
        assert reading.kernel.release == release
        assert any(f"names {release}" in note.text for note in reading.notes)


@pytest.mark.parametrize(
    "told",
    [
        "The same works without any problem on kernel 6.10.10.",
        "This is a race in kernel 6.1 (and likely later versions).",
        "Kernel Version: 6.3.0\n\nKernel Version: 6.2.1",
        "Kernel panic - not syncing: 6.1.0",
        "kernel: 12.345678 foo",
    ],
)
def test_prose_and_contradictions_name_none(told: str) -> None:
    assert read_log(f"{told}\n\n{CRASH}".encode()).kernel.release is None


def test_the_crashs_own_line_is_better() -> None:
    own = CRASH.replace("RIP:", "CPU: 1 PID: 7 Comm: x Not tainted 5.2.3 #1\nRIP:", 1)
    reading = read_log(f"Kernel Version: 6.3.0\n\n{own}".encode())
    assert reading.kernel.release == "5.2.3"
    assert not any("names" in note.text for note in reading.notes)


@given(st.binary(max_size=300))
def test_any_bytes_are_taken(junk: bytes) -> None:
    read_log(junk + b"\nkernel: " + junk + b"\n" + CRASH.encode())


WARNED = "WARNING: CPU: 1 PID: 7 at {}/fs/ext4/inode.c:12 ext4_acme+0x12/0x40 [ext4]\n"


def test_the_folder_of_a_build_names_the_whole_release() -> None:
    path = "/builddir/build/BUILD/kernel-3.10.0-957.el7/linux-3.10.0-957.el7.x86_64"
    reading = read_log(WARNED.format(path).encode())
    assert (reading.kernel.release, reading.kernel.arch) == ("3.10.0-957.el7.x86_64", "x86_64")


@pytest.mark.parametrize(
    ("path", "base"),
    [
        ("/build/linux-9uDFZV/linux-4.9.30", "4.9.30"),
        ("/home/user/rpmbuild/BUILD/kernel-latest-5.10.16/linux-5.10.16", "5.10.16"),
    ],
)
def test_the_version_that_a_vendor_started_from_is_no_release(path: str, base: str) -> None:
    reading = read_log(WARNED.format(path).encode())
    assert reading.kernel.release is None
    assert any(f"line 1: built of the sources of {base}," in note.text for note in reading.notes)
    named = read_log(f"Kernel Version: 4.9.0-3-amd64\n{WARNED.format(path)}".encode())
    assert named.kernel.release == "4.9.0-3-amd64"
    assert not any("built of" in note.text for note in named.notes)
