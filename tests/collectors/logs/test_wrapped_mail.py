"""Reports that a mail program wrapped: what lacks its end is joined, whatever the width; what is whole is not."""

from __future__ import annotations

import pytest

from kbmatch.collectors.logs.console import read_log

REPORT = """\
BUG: KASAN: slab-use-after-free in acme_rather_long_function_name.constprop.0+0xf03/0xfb0 [acme]
Read of size 8 at addr ffff88805a317178 by task acmed/12977

CPU: 0 PID: 12977 Comm: acmed Tainted: G        W  O       6.1.118-acme-00283-g563a50672d8a #1
Hardware name: QEMU Standard PC (Q35 + ICH9, 2009), BIOS 1.16.2-debian-1.16.2-1 04/01/2014
Call Trace:
 <TASK>
 kasan_report+0xd9/0x110 mm/kasan/report.c:601
 acme_rather_long_function_name.constprop.0+0xf03/0xfb0 [acme]
 acme_poll+0x17/0x1d0 [acme]
 </TASK>
"""
LOCKDEP = """\
======================================================
WARNING: possible circular locking dependency detected
6.5.0-rc7-acme-00004-gf7757129e3de #0 Not tainted
------------------------------------------------------
acme-executor277/5012 is trying to acquire lock:
ffff88802df41710 (acme-tree-01){++++}-{3:3}, at: acme_tree_read_lock+0x2f/0x220 fs/acme/locking.c:136

but task is already holding lock:
ffff88802df418e8 (acme-tree-00){++++}-{3:3}, at: acme_tree_write_lock+0x2f/0x220 fs/acme/locking.c:166
"""
LINK = "See\nhttps://lore.example.org/" + "x" * 90 + "\nwhich finds no room anywhere.\n"


def wrapped(text: str, width: int, quote: str) -> bytes:
    """The text as a mail program breaks it."""
    lines = []
    for line in text.split("\n"):
        rest = line
        while len(rest) > width and (cut := rest.rfind(" ", 1, width + 1)) > 0:
            lines.append(quote + rest[:cut].rstrip())
            rest = rest[cut + 1 :]
        lines.append(quote + rest)
    return "\n".join(lines).encode()


@pytest.mark.parametrize("quote", ["", "> ", ">> "])
@pytest.mark.parametrize("width", [66, 72, 76, 78])
@pytest.mark.parametrize("tail", ["", LINK], ids=["short", "with a link"])
def test_place_release_and_taint_survive(width: int, quote: str, tail: str) -> None:
    found = read_log(wrapped(REPORT, width, quote) + b"\n" + tail.encode())
    (event,) = found.events
    assert (event.kind, event.symbol) == ("kasan", "acme_rather_long_function_name")
    assert found.kernel.release == "6.1.118-acme-00283-g563a50672d8a"
    assert {"W", "O"} <= set(found.kernel.taint or ())


@pytest.mark.parametrize("width", [66, 72, 76])
def test_lockdeps_lines_are_told_apart(width: int) -> None:
    found = read_log(wrapped(LOCKDEP, width, ""))
    (event,) = found.events
    assert (event.kind, event.symbol) == ("lockdep", "acme_tree_read_lock")
    assert found.kernel.release == "6.5.0-rc7-acme-00004-gf7757129e3de"
    assert [frame.symbol for frame in event.locks] == ["acme_tree_read_lock", "acme_tree_write_lock"]


@pytest.mark.parametrize(
    "head", ["divide error: 0000 [#1] SMP", "NMI watchdog: BUG: soft lockup - CPU#0 stuck for 22s!"]
)
def test_a_quoted_head_is_no_line_of_another_program(head: str) -> None:
    found = read_log(f"> {head}\n> CPU: 0 PID: 7 Comm: x Not tainted 6.1.0 #1\n> RIP: 0010:acme_a+0x1/0x2\n".encode())
    assert [event.kind for event in found.events] == [{"d": "divide-error", "N": "soft-lockup"}[head[0]]]
