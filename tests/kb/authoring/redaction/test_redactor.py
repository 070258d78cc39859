"""Redaction: no secret stays, the crash does, the same thing has the same name, columns and lines are kept."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kbmatch.collectors.logs.console import read_log
from kbmatch.kb.authoring.redaction.redactor import Redactor
from seeded_secrets import seeded_lines

ROOT = Path(__file__).resolve().parents[4]
CRASH = (ROOT / "examples/founding-case/dmesg.log").read_text()


@pytest.mark.parametrize("seed", range(8))
def test_none_of_204_secrets_of_12_sorts_is_left(seed: int) -> None:
    seeded = seeded_lines(seed)
    assert len(seeded.all()) >= 200
    assert len(seeded.secrets) == 12
    half = len(seeded.lines) // 2
    text = "\n".join([*seeded.lines[:half], CRASH.rstrip("\n"), *seeded.lines[half:]])
    redacted = Redactor().redact(text)
    left = {sort: [s for s in found if s.lower() in redacted.lower()] for sort, found in seeded.secrets.items()}
    assert {sort: found for sort, found in left.items() if found} == {}
    assert CRASH.rstrip("\n") in redacted
    assert redacted.count("\n") == text.count("\n")


def test_the_same_thing_has_the_same_name_everywhere_and_another_another() -> None:
    text = (
        "Nov 23 03:59:16 web07 kernel: [    1.0] a\n[    1.1] nfs: server web08 not responding\n"
        "[    1.2] connect to web07.acme.com and WEB07 from 10.1.2.3\n[    1.3] SRC=10.1.2.3 DST=10.1.2.4\n"
    )
    lines = Redactor().redact(text).split("\n")
    name = lines[0].split()[3]
    assert name != "web07"
    assert name in lines[2]
    assert name not in lines[1]
    first = lines[2].split()[-1]
    assert f"SRC={first} " in lines[3]
    assert f"DST={first}" not in lines[3]


def test_columns_are_kept() -> None:
    text = "Nov 23 03:59:16 web07 kernel: [    1.0] peer 10.20.30.40 is at 52:54:00:12:34:56 | ok\n"
    redacted = Redactor().redact(text)
    assert len(redacted) == len(text)
    assert redacted.index("|") == text.index("|")
    assert "10.20.30.40" not in redacted
    assert "52:54:00:12:34:56" not in redacted


def test_a_private_key_block_is_gone() -> None:
    body = "MIIEowIBAAKCAQEAx4UbaDzY5xjW6hc9jwN0mX33XpTDVW3WgmYtA\nqhAhXy1hVfkGLkA8Dk1Yh4dTbhPq8gXc0Yw1sFQkzJ3cQ"
    text = f"-----BEGIN RSA PRIVATE KEY-----\n{body}\n-----END RSA PRIVATE KEY-----\n[    1.0] fine\n"
    redacted = Redactor().redact(text)
    assert not any(line in redacted for line in body.split("\n"))
    assert redacted.endswith("[    1.0] fine\n")


def test_words_of_the_user_go_wherever_they_stand_in_any_case() -> None:
    redacted = Redactor(words=["Falcon", "ACME corp"]).redact("[1.0] project FALCON of acme Corp: falcond started\n")
    assert "falcon" not in redacted.lower()
    assert "acme" not in redacted.lower()


@pytest.mark.parametrize(
    "line",
    [
        "[    1.0] RIP: 0010:core_alloc+0x1/0x2 [drv 3f2b0c1d3f2b0c1d3f2b0c1d3f2b0c1d3f2b0c1d]",
        "[    1.0] RSP: 0018:ffff98c029003dd8 EFLAGS: 00010287",
        "[    1.0] pci 0000:03:00.0: [10de:1234] type 00 class 0x020000",
        "[    1.0] Linux version 4.18.0-80.el8.x86_64 (mockbuild@x86-vm-08.build.eng.bos.redhat.com) (gcc 8.2.1)",
        "[    1.0] <core::fmt::Arguments as core::fmt::Display>::fmt+0x10/0x20",
        "[    1.0] WARNING: CPU: 3 PID: 7 at net/core/dev.c:1234 foo+0x1/0x2",
        "[    1.0] Hardware name: Dell Inc. PowerEdge R640/0H28RR, BIOS 2.12.2 07/09/2021",
        "[    1.0] igb: Intel(R) Gigabit Ethernet Network Driver - version 5.6.0.12",
        "[    1.0] BUG: unable to handle page fault for address: ffff888012345678",
        "[    1.0] INFO: task kworker/u16:3:1234 blocked for more than 120 seconds.",
        "[    1.0] Call trace at 03:59:16 of /proc/sys/kernel/hung_task_timeout_secs",
        "[    1.0] Please report to linux-mm@vger.kernel.org, see https://www.kernel.org/doc/html",
        "[    1.0] watchdog: BUG: soft lockup - CPU#3 stuck for 22s! [java:4711]",
        "[    1.0] x29: ffff80001000bd60 x28: ffff000012345678 x27: 0000000000000000",
        "[    1.0] BUG: KASAN: use-after-free in skb_dequeue+0x1a/0x30 net/core/skbuff.c:3054",
    ],
)
def test_what_the_crash_says_stays(line: str) -> None:
    assert Redactor(protected=["core_alloc"]).redact(line) == line


def test_a_host_named_like_a_module_is_changed_where_it_is_the_host_and_nowhere_else() -> None:
    text = (
        "Nov 23 03:59:16 ixgbe kernel: [    1.0] Modules linked in: ixgbe xfs\n"
        "Nov 23 03:59:16 ixgbe kernel: [    1.0] RIP: 0010:ixgbe_poll+0x1/0x2 [ixgbe]\n"
    )
    redacted = Redactor().redact(text)
    assert "Modules linked in: ixgbe xfs" in redacted
    assert "[ixgbe]" in redacted
    assert "16 ixgbe kernel" not in redacted


def test_a_source_path_keeps_its_place_in_the_kernels_tree() -> None:
    redacted = Redactor().redact("kernel BUG at /home/bobby/acme-kernel/linux/mm/slub.c:3500!")
    assert "/mm/slub.c:3500!" in redacted
    assert "bobby" not in redacted
    assert "acme" not in redacted


def test_redacting_twice_changes_nothing_more() -> None:
    redactor = Redactor()
    once = redactor.redact("\n".join(seeded_lines(3).lines))
    assert redactor.redact(once) == once


def test_names_that_look_like_pseudonyms_are_replaced_too_and_never_given() -> None:
    hosts = [f"host-{i:02d}" for i in range(1, 9)]
    users = [f"user{i}" for i in range(1, 6)]
    text = "\n".join(
        [
            *(f"[    1.0] nfs: server {host} not responding" for host in hosts),
            *(f"[ 1.0] user={user}" for user in users),
        ]
    )
    redacted = Redactor().redact(text)
    assert not [name for name in (*hosts, *users) if name in redacted]
    assert len(set(redacted.split("\n"))) == 13


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=400))
def test_any_text_keeps_its_lines_and_nothing_raises(text: str) -> None:
    assert Redactor().redact(text).count("\n") == text.count("\n")


@pytest.mark.parametrize("piece", ["a.", "a@", "1.", "/a", "::a:", "key=", "user ", "A1b", "//", "-", "host=a."])
def test_hostile_lines_take_linear_time(piece: str) -> None:
    line = piece * (40_000 // len(piece))
    began = time.monotonic()
    Redactor().redact(line)
    assert time.monotonic() - began < 5


def test_every_log_of_the_corpus_reads_the_same_when_redacted(shared: Path) -> None:
    differ = []
    for path in sorted((shared / "corpus/console").glob("*.log"))[::3]:
        data = path.read_bytes()
        redacted = Redactor().redact(data.decode("utf-8", "replace")).encode()
        before, after = read_log(data), read_log(redacted)
        facts = [
            [(e.kind, e.fatal, e.line, e.symbol, e.offset, e.address, e.trace, e.registers) for e in log.events]
            for log in (before, after)
        ]
        if facts[0] != facts[1] or before.kernel.release != after.kernel.release:
            differ.append(path.name)
    assert differ == []
