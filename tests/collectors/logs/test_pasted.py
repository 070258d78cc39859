"""Single rules of reading pasted text: rests of lines, module lists, doubled lines, numbers, encodings."""

from __future__ import annotations

import time

import pytest

from kbmatch.collectors.logs.console import read_log
from kbmatch.collectors.logs.legible import legible
from kbmatch.collectors.logs.rests import is_rest
from kbmatch.engine.signature import Signature

OOPS = (
    "BUG: kernel NULL pointer dereference, address: 0000000000000010\nOops: 0000 [#1] SMP PTI\n{}"
    "CPU: 5 PID: 4711 Comm: worker Not tainted 6.1.118-acme #1\nRIP: 0010:acme_poll+0x10/0x20 [acme]\n"
    "Call Trace:\n acme_irq+0x1/0x2 [acme]\n kthread+0x10/0x20\n"
)


def read(middle: str) -> Signature:
    (event,) = read_log(OOPS.format(middle).encode()).events
    return event


@pytest.mark.parametrize(
    ("held", "text"),
    [
        ("CPU: 0 PID: 1 Comm: a Tainted: G", "W  O    --------- -  - 4.18.0-372.el8.x86_64 #1"),
        ("CPU: 0 PID: 1 Comm:", "kworker/u4:1 Not tainted 6.1.0 #1"),
        ("CPU: 0 PID: 1 Comm: a Not tainted 6.1.0-rc1-foo", "#1 SMP"),
        ("CPU: 0 PID:", "1 Comm: a Not tainted 6.1.0 #1"),
        ("WARNING: CPU: 1 PID: 2 at", "acme_poll+0x1/0x2 [acme]"),
        ("WARNING: CPU: 1 PID: 2 at net/acme.c:12", "acme_poll+0x1/0x2 [acme]"),
        ("BUG: unable to handle page fault for address:", "ffff888012345678"),
        ("BUG: KASAN:", "use-after-free in acme_poll+0x1/0x2"),
        ("Oops: general protection", "fault, probably for non-canonical address 0xdead000000000100: 0000 [#1] SMP"),
        ("general protection fault: 0000", "[#1] SMP"),
        ("[<ffffffff81234567>] ?", "acme_poll+0x1/0x2"),
        ("RIP: 0010:[<ffffffff81234567>]", "[<ffffffff81234567>] acme_poll+0x1/0x2"),
        ("acme_poll+0x1/0x2", "[acme]"),
        ("acme_poll+0x1/0x2 [acme]", "net/acme.c:12"),
        ("acme_poll (net/acme.c:12", "net/acme.h:7 (discriminator 3))"),
        ("INFO: task acme:12 blocked for more than", "120 seconds."),
        ("watchdog: BUG: soft lockup - CPU#1 stuck for 22s!", "[kworker/1:2:77]"),
        ("RAX: 0000000000000000 RBX: 0000000000000001 RCX:", "0000000000000002"),
        ("4.12.0-rc2-next-20170525+ #1 Not", "tainted"),
    ],
)
def test_a_rest_is_told(held: str, text: str) -> None:
    assert is_rest(held, text)


@pytest.mark.parametrize(
    ("held", "text"),
    [
        ("acme_poll+0x1/0x2 [acme]", "acme_irq+0x1/0x2 [acme]"),
        ("Call Trace:", "acme_poll+0x1/0x2 [acme]"),
        ("CPU: 0 PID: 1 Comm: a Not tainted 6.1.0 #1", "4.19.0 is fine"),
        ("Modules linked in:", "CPU: 0 PID: 1 Comm: a Not tainted 6.1.0 #1"),
        ("lab/5 is trying to release lock (&lab->lock) at:", "[<ffffffff89148e14>] lab_release+0x85a4/0x9390 [lab]"),
        (
            "BUG: kernel NULL pointer dereference, address: 0000000000000010",
            "#PF: supervisor read access in kernel mode",
        ),
        ("RIP: 0010:acme_poll+0x1/0x2", "Code: 00 11 22"),
        ("<TASK>", "acme_poll+0x1/0x2"),
    ],
)
def test_a_line_of_its_own_is_no_rest(held: str, text: str) -> None:
    assert not is_rest(held, text)


def test_prose_behind_a_module_list_is_no_module() -> None:
    for prose in ("this is a virtual machine", "see below", "Thanks", "Workqueue: events acme_work"):
        assert read(f"Modules linked in: acme(OE) xfs\n{prose}\n").modules == ("acme", "xfs")
    for gap in ("[...]", "<snip>", "...", "[last unloaded: gone]"):
        assert read(f"Modules linked in: acme xfs {gap}\nnf_nat nf_conntrack\n").modules == ("acme", "xfs")


def test_the_last_unloaded_may_be_broken() -> None:
    assert read("Modules linked in: acme xfs [last\nunloaded: gone]\nnf_nat\n").modules == ("acme", "xfs")


def test_recursion_is_no_doubled_line() -> None:
    frames = "".join(f"[    1.0000{i:02d}]  acme_walk+0x10/0x20\n" for i in range(3))
    text = "".join(f"[    1.000000] {line}\n" for line in OOPS.format("").splitlines()) + frames
    assert [f.symbol for f in read_log(text.encode()).events[0].trace].count("acme_walk") == 3


def test_dmesg_with_dates_shows_no_foreign_programs() -> None:
    text = "".join(
        f"[Tue Nov 24 10:00:00 2026] {line}\n" for line in OOPS.format("Hardware name: Acme Box\n").splitlines()
    )
    assert read_log(text.encode()).machine.hardware == "Acme Box"


def test_numbers_are_taken_off_only_where_they_count() -> None:
    text = b"10 a\n11 b\n12 c\n13 d\n"
    assert legible(text) == text
    counted = b"".join(b"%5d  line\n" % i for i in range(9, 40))
    assert legible(b"Hello\n" + counted).split(b"\n")[1].strip() == b"line"
    assert legible(b"".join(b"%d.000001 line\n" % i for i in range(40))).startswith(b"0.000001 line")


def test_line_numbers_stay_those_of_the_mail() -> None:
    mail = "Content-Transfer-Encoding: quoted-printable\n\n" + "x" * 75 + "=\nyy\n" + OOPS.format("")
    (event,) = read_log(mail.encode()).events
    assert event.line == 5


def test_a_release_that_the_terminal_cut_is_not_told() -> None:
    line = "CPU: 5 PID: 4711 Comm: worker Tainted: G           OE     5.14.0-70.13.1.el9.x86_64 #1"
    text = OOPS.format("").replace("CPU: 5 PID: 4711 Comm: worker Not tainted 6.1.118-acme #1", line)
    assert read_log(text.encode()).kernel.release == "5.14.0-70.13.1.el9.x86_64"
    cut = read_log("\n".join(piece[:70] for piece in text.split("\n")).encode())
    assert cut.kernel.release == "5.14.0-70.13", "one line alone is no proof of a cut"
    cut = read_log("\n".join(piece[:70] for piece in f"{text}{'x ' * 60}".split("\n")).encode())
    assert (cut.kernel.release, cut.kernel.taint, cut.events[0].comm) == (None, ("O", "E"), "worker")


@pytest.mark.parametrize(
    "piece",
    [
        b"CPU: 1 PID: 1 Comm: Tainted:" + b" " * 60 + b"\n",
        b"WARNING: at at at at a:1 at b:1\n+0x1/0x2\n",
        b"Modules linked in: a_1 b_2 c_3\nd_4 e_5(OE) [last\n",
        b"f (a.c:1 (b.c:2 (\n3)\n",
        b"tainted: A A A A A A A\n#1\n",
        b"+0x+0x+0x+0x+0x from from from\nf+0x1\n",
        b"x" * 74 + b"=\n",
        b"\xa0\xa0\xa0\xa0 \xa0",
        b"&lt;&amp;<br>",
        b"12 a\n13 b\n",
        b"in at in at in at BUG: K in at\n",
    ],
)
def test_hostile_pastes_are_read_in_linear_time(piece: bytes) -> None:
    for text in (piece * (200_000 // len(piece)), piece.replace(b"\n", b" ") * (200_000 // len(piece))):
        start = time.perf_counter()
        read_log(text)
        assert time.perf_counter() - start < 5
