"""Reports with another head than the kernel's oops: drivers' own, xmon's, those of old kernels, and none at all."""

from __future__ import annotations

import pytest

from kbmatch.collectors.logs.console import read_log
from kbmatch.collectors.logs.reading import LogReading
from kbmatch.engine.culprit import assign_culprits
from kbmatch.engine.signature import Signature
from kbmatch.kb.store.frames import load_helper_frames

MISSING = "the first lines of this report are missing"


def read(text: str) -> LogReading:
    return read_log(text.encode())


def only(text: str) -> Signature:
    (event,) = assign_culprits(read(text).events, load_helper_frames())
    return event


def blamed(event: Signature) -> tuple[str, str | None] | None:
    return (event.culprit.symbol, event.culprit.module) if event.culprit else None


ALLOCATION = """\
tcpdump: page allocation failure{} order:9, mode:0x20
Pid: 7812, comm: tcpdump Not tainted 2.6.32-431.el6.x86_64 #1
Call Trace:
 [<ffffffff8112f9e7>] ? __alloc_pages_nodemask+0x757/0x8d0
 [<ffffffffa0123abc>] ? acme_ring+0x62/0x170 [acme]
"""


@pytest.mark.parametrize("dot", [":", "."])
def test_a_failed_allocation_of_pages(dot: str) -> None:
    event = only(ALLOCATION.format(dot))
    assert (event.kind, event.pid, event.comm) == ("other", 7812, "tcpdump")
    assert event.message.startswith("tcpdump: page allocation failure")
    assert [frame.symbol for frame in event.trace] == ["__alloc_pages_nodemask", "acme_ring"]


def test_what_happens_in_passing_gives_way_and_leaves_room() -> None:
    text = ALLOCATION.format(":") * 1500 + "WARNING: CPU: 1 PID: 7 at lab/lab.c:12 lab_do+0x12/0x40 [lab]\n"
    events = read(text).events
    assert [event.kind for event in events if event.fatal] == ["warning"]
    assert len(events) < 50
    panic = "Kernel panic - not syncing: Fatal exception\n"
    first, _ = read(f"BUG: unable to handle page fault for address: ffffc90000001000\n{text[:300]}\n{panic}").events
    assert (first.kind, first.fatal, "panic" in first.lines) == ("page-fault", True, True)


XFS = """\
{} Internal error XFS_WANT_CORRUPTED_RETURN at line 342 of file fs/xfs/xfs_alloc.c.  Caller 0xffffffffa03c3a1c

{}
Call Trace:
 [<ffffffff813e93c3>] dump_stack+0x63/0x90
 [<ffffffffa03a1b2c>] xfs_error_report+0x3c/0x40 [xfs]
 [<ffffffffa03c3a1c>] xfs_free_ag_extent+0x5e8/0x6b4 [xfs]
 [<ffffffffa03c5b00>] xfs_free_extent+0xa5/0xc5 [xfs]
"""


@pytest.mark.parametrize("lead", ["XFS:", "XFS (sda1):", 'Filesystem "sda1": XFS'])
@pytest.mark.parametrize(
    "who",
    [
        "Pid: 1234, comm: rm Not tainted 3.2.0-4-amd64 #1 Debian 3.2.41-2",
        "CPU: 3 PID: 1234 Comm: rm Not tainted 3.2.0-4-amd64 #1",
    ],
)
def test_an_internal_error_of_xfs_blames_who_reported_it(lead: str, who: str) -> None:
    text = XFS.format(lead, who)
    event = only(text.replace("XFS Internal", "XFS internal") if lead.endswith("XFS") else text)
    assert (event.kind, event.pid, event.source_line) == ("other", 1234, "fs/xfs/xfs_alloc.c:342")
    assert event.symbol == "xfs_free_ag_extent"
    assert blamed(event) == ("xfs_free_ag_extent", "xfs")
    assert len(event.trace) == 4


def test_an_old_panic_of_the_solaris_porting_layer() -> None:
    event = only("""\
SPLError: 3952:0:(ddt.c:1084:ddt_sync_entry()) SPL PANIC
SPL: Showing stack for process 3952
Pid: 3952, comm: txg_sync Tainted: P           ---------------    2.6.32-358.el6.x86_64 #1
Call Trace:
 [<ffffffffa0417797>] ? spl_debug_dumpstack+0x27/0x40 [spl]
 [<ffffffffa041890e>] ? spl_debug_bug+0x7e/0xe0 [spl]
 [<ffffffffa04fa5b1>] ? ddt_sync+0x6b1/0x9a0 [zfs]
 [<ffffffffa0529e33>] ? spa_sync+0x4d3/0xa70 [zfs]
""")
    assert (event.kind, event.source_line, event.comm) == ("bug", "ddt.c:1084", "txg_sync")
    assert blamed(event) == ("ddt_sync", "zfs")


ZFS = """\
VERIFY3(0 == dmu_bonus_hold(os, object, FTAG, &db)) failed (0 == 5)
PANIC at zil.c:423:zil_parse()
"""
ZFS_STACK = """\
Showing stack for process 4242
CPU: 1 PID: 4242 Comm: zpool Tainted: P           OE     5.4.0-42-generic #46-Ubuntu
Call Trace:
 dump_stack+0x6d/0x9a
 spl_dumpstack+0x29/0x2b [spl]
 spl_panic+0xd4/0xfc [spl]
 zil_parse+0x3c1/0x420 [zfs]
 zil_claim+0x1/0x42 [zfs]
"""


def test_a_failed_check_of_zfs_with_and_without_a_stack() -> None:
    whole, bare = only(ZFS + ZFS_STACK), only(ZFS)
    for event in (whole, bare):
        assert (event.kind, event.symbol, event.source_line) == ("bug", "zil_parse", "zil.c:423")
        assert event.message.startswith("VERIFY3(")
    assert blamed(whole) == ("zil_parse", "zfs")
    assert blamed(bare) == ("zil_parse", None)


def test_a_stack_of_zfs_whose_head_is_lost() -> None:
    event = only(ZFS_STACK)
    assert (event.kind, event.comm, blamed(event)) == ("other", "zpool", ("zil_parse", "zfs"))


@pytest.mark.parametrize("host", ["x ", "10.1.2.3 ", "x 6.1.0,"])
def test_extended_netconsole_behind_a_syslog_prefix(host: str) -> None:
    event = only(
        f"May 25 07:29:42 {host}0,16627,40311380557,-,caller=C0;BUG: workqueue lockup - pool cpus=0 stuck for 32s!"
        f"\nMay 25 07:29:42 {host}6,16628,40311380657,-,caller=C0;Showing busy workqueues and worker pools:\n"
    )
    assert (event.kind, event.time) == ("workqueue-stall", 40311.380557)
    assert event.message.startswith("BUG: workqueue lockup")


XMON = """\
cpu 0x2: Vector: 300 (Data Access) at [c0000000fffbf5c0]
    pc: d000000002d20abc: reclaim_pages+0x2c/0x100 [lab]
    lr: c0000000000a1234: shrink_slab+0x10/0x20
    sp: c0000000fffbf840
   msr: 8000000000009032
   dar: 8
 dsisr: 40000000
  current = 0xc0000000fe5c0000
  paca    = 0xc00000000fb80000\t softe: 0\t irq_happened: 0x01
    pid   = 45, comm = kswapd0
Linux version 4.9.0-3-powerpc64le (gcc version 6.3.0) #1 SMP Debian 4.9.30-2
enter ? for help
[link register   ] c0000000000a1234 shrink_slab+0x10/0x20
[c0000000fffbf840] c0000000fffbf8d0 (unreliable)
[c0000000fffbf8d0] c000000000234567 shrink_node+0x2e8/0x300
[c0000000fffbf990] c000000000235678 kswapd+0x318/0x7a0 (unreliable)
--- Exception: c01 (System Call) at 00003fff8b1d2c3c
2:mon>
"""


@pytest.mark.parametrize("stamp", ["", "[   12.000001] "])
@pytest.mark.parametrize(
    "booted", ["", "Linux version 4.9.0-3-powerpc64le (gcc version 6.3.0) #1 SMP Debian 4.9.30-2\n"]
)
def test_xmon(stamp: str, booted: str) -> None:
    reading = read(booted + "".join(f"{stamp}{line}\n" for line in XMON.splitlines()))
    (event,) = reading.events
    assert (event.kind, event.address, event.cpu, event.pid, event.comm) == ("null-deref", 8, 2, 45, "kswapd0")
    assert event.printed == "reclaim_pages+0x2c/0x100 [lab]"
    assert [frame.symbol for frame in event.trace] == ["shrink_slab", "shrink_node", "kswapd"]
    assert reading.kernel.release == "4.9.0-3-powerpc64le"


def test_xmon_after_the_heads_that_the_kernel_printed() -> None:
    text = "Unable to handle kernel paging request for data at address 0x00000008\nFaulting instruction address: 0xd0\n"
    assert only(text + XMON).kind == "null-deref"
    bug = "cpu 0x5: Vector: 700 (Program Check) at [c0000000fffbf5c0]\n    pc: c000000000220abc: .lab_do+0x2c/0x100\n"
    event = only(bug + "kernel BUG at mm/lab.c:123!\n[c0000000fffbf8d0] c000000000234567 .shrink_node+0x2e8/0x300\n")
    assert (event.kind, event.source_line, event.cpu) == ("bug", "mm/lab.c:123", 5)


FRAMES = " acme_poll+0x22/0x80 [acme]\n net_rx_action+0x289/0x3f4\n do_idle+0x21/0x2c\n"
TRACE = f"Call Trace:\n <IRQ>\n{FRAMES} </IRQ>\n"
REGISTERS = """\
RSP: 0018:ffffc90000a51ff8 EFLAGS: 00010246
RAX: 0000000000000000 RBX: ffff888100000000 RCX: 0000000000000001
RDX: 0000000000000000 RSI: ffff888100000000 RDI: 0000000000000001
RBP: 0000000000000000 R08: ffff888100000000 R09: 0000000000000001
Code: 00 00 48 89 e5 41 57 41 56 41 55 41 54 53 48 83 ec 28 <48> 8b 47 08 48 89
"""


@pytest.mark.parametrize(
    "text",
    [
        TRACE,
        f"Call Trace:\n{FRAMES}",
        f"It hangs with:\n\n{TRACE}",
        f"CR2: 0000000000000008\n{TRACE}",
        f" <TASK>\n{FRAMES}",
    ],
)
@pytest.mark.parametrize("stamped", [False, True])
def test_a_trace_whose_head_is_lost(text: str, stamped: bool) -> None:
    if stamped:
        text = "".join(f"[   12.{i:06d}] {line}\n" for i, line in enumerate(text.splitlines()) if "hangs" not in line)
    reading = read(text)
    (event,) = reading.events
    assert (event.kind, len(event.trace)) == ("other", 3)
    assert any(MISSING in note.text for note in reading.notes)
    assert blamed(only(text)) == ("acme_poll", "acme")


def test_registers_and_code_whose_head_is_lost() -> None:
    reading = read(REGISTERS)
    (event,) = reading.events
    assert (event.kind, event.registers["rsi"]) == ("other", 0xFFFF888100000000)
    assert event.code
    assert any(MISSING in note.text for note in reading.notes)
    (both,) = read(REGISTERS + TRACE).events
    assert len(both.trace) == 3


@pytest.mark.parametrize(
    "text",
    [
        "Call Trace:\n acme_poll+0x22/0x80 [acme]\n do_idle+0x21/0x2c\n",
        f"task:bash            state:D stack:    0 pid: 1234 ppid:     1 flags:0x4000\nCall Trace:\n <TASK>\n{FRAMES}",
        f"bash          D ffff88003fc13680     0  1234   1233 0x00000000\nCall Trace:\n{FRAMES}",
        f"sysrq: Show Blocked State\n{TRACE}",
        f"SysRq : Show State\n{TRACE}",
        f"[   12.000000] acme 0000:01:00.0: ring stuck\n[   12.000001] Call Trace:\n{FRAMES}",
        f"acme 0000:01:00.0: ring stuck\nCall Trace:\n{FRAMES}",
        "RIP: 0033:0x7f1234567890\n" + REGISTERS.replace("0018:ffffc900", "002b:00007ffc"),
        REGISTERS.partition("Code:")[0],
        REGISTERS.splitlines()[-1],
    ],
)
def test_what_is_no_crash_stays_none(text: str) -> None:
    assert read(text).events == ()


def test_a_limit_of_a_control_group_without_the_first_line() -> None:
    event = only("""\
Task in /kubepods/burstable/podx killed as a result of limit of /kubepods/burstable/podx
memory: usage 125952kB, limit 125952kB, failcnt 3632
Memory cgroup out of memory: Kill process 1234 (java) score 1000 or sacrifice child
Killed process 1234 (java) total-vm:1000kB
""")
    assert event.kind == "oom"


@pytest.mark.parametrize(
    "text", [ALLOCATION.format(":"), ZFS, XMON, XFS.format("XFS:", "x"), "Task in /a killed as a result of limit of /a"]
)
def test_they_are_found_in_a_large_log(text: str) -> None:
    noise = "".join(f"[{i:5d}.000000] acme 0000:01:00.0: link is up\n" for i in range(12_000))
    assert len(read(noise + text + "\n" + noise).events) == 1


def test_a_machine_check_of_powerpc_is_one_event() -> None:
    event = only("""\
Machine check in kernel mode.
Caused by (from SRR1=149030): Transfer error ack signal
Oops: Machine check, sig: 7 [#1]
PREEMPT SMP NR_CPUS=24
CPU: 3 PID: 123 Comm: lab Not tainted 4.9.0 #1
NIP [c0000000000abcde] lab_do+0x12/0x34
""")
    assert (event.kind, event.symbol, event.pid) == ("mce", "lab_do", 123)


def test_lines_that_are_nearly_heads_take_no_time() -> None:
    for line in ("Kernel panic" + " " * 8000, "VERIFY(" + ") failed" * 1000, "x" * 64 + " " + "1," * 4000):
        read(f"{line}\n" * 20)


def test_a_panic_typed_by_hand_has_the_kernels_words_among_its_lines() -> None:
    typed = "Kernel panic-not syncing: VFS: unable to mount root fs on unknown-block(0,0)"
    event = only(f"{typed}\n")
    assert (event.kind, event.message) == ("panic", typed)
    assert "Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)" in event.text


def test_the_panic_after_an_nmi_is_the_fatal_event() -> None:
    nmi = "Uhhuh. NMI received for unknown reason 3d on CPU 2."
    reading = read(f"{nmi}\nKernel panic - not syncing: NMI: Not continuing\n")
    assert [(event.kind, event.fatal) for event in reading.events] == [("other", False), ("panic", True)]


OLD = """\
Unable to handle kernel NULL pointer dereference at 0000000000000008 RIP:
 [<ffffffff8834a1f2>] :lab:lab_read+0x12/0x50
PGD 3f5c8067 PUD 3f5c9067 PMD 0
Oops: 0000 [1] SMP
last sysfs file: /block/sda/size
CPU 1
Modules linked in: lab(U) ext3 jbd
Pid: 2711, comm: labd Tainted: G      2.6.18-194.el5 #1
RIP: 0010:[<ffffffff8834a1f2>]  [<ffffffff8834a1f2>] :lab:lab_read+0x12/0x50
RSP: 0018:ffff81003f5cbe68  EFLAGS: 00010246
RAX: 0000000000000000 RBX: ffff81003f5c8000 RCX: 0000000000000000
Process labd (pid: 2711, threadinfo ffff81003f5ca000, task ffff81003f5c8000)
Stack:  ffff81003f5cbf50 0000000000000000 0000000000000000 0000000000000000
Call Trace:
 [<ffffffff8000b73f>] vfs_read+0xcb/0x171
 [<ffffffff80011b9b>] sys_read+0x45/0x6e
Code: 48 8b 47 08 48 89 e5 41 57 41 56 41 55 41 54 53 48 83 ec 28
RIP  [<ffffffff8834a1f2>] :lab:lab_read+0x12/0x50
 RSP <ffff81003f5cbe68>
CR2: 0000000000000008
 <0>Kernel panic - not syncing: Fatal exception
"""
OLD_I386 = """\
Unable to handle kernel NULL pointer dereference at virtual address 00000014
 printing eip:
c0123abc
*pde = 00000000
Oops: 0000 [#1]
SMP
Modules linked in: lab
CPU:    1
EIP:    0060:[<c0123abc>]    Not tainted VLI
EFLAGS: 00010246   (2.6.9-89.EL)
EIP is at lab_poll+0x12/0x40 [lab]
eax: 00000000   ebx: f5bd0000   ecx: 00000000   edx: 00000000
esi: 00000000   edi: 00000000   ebp: f5bd0000   esp: f5bd1f00
ds: 007b   es: 007b   ss: 0068
Process labd (pid: 77, threadinfo=f5bd0000 task=f5bc0000)
Stack: 00000000 00000000
Call Trace:
 [<c0164abc>] do_sys_poll+0x12/0x40
Code: 8b 40 14 89
"""


def test_kernels_that_print_the_module_before_the_function() -> None:
    reading = read(OLD)
    event = only(OLD)
    assert (event.kind, event.address, event.access, event.fatal) == ("null-deref", 8, "read", True)
    assert (event.printed, event.module, event.pid) == ("lab_read+0x12/0x50 [lab]", "lab", 2711)
    assert [frame.symbol for frame in event.trace] == ["vfs_read", "sys_read"]
    assert reading.kernel.release == "2.6.18-194.el5"


def test_kernels_that_print_the_release_behind_the_flags() -> None:
    reading = read(OLD_I386)
    event = only(OLD_I386)
    assert (event.kind, event.symbol, event.module, event.address) == ("null-deref", "lab_poll", "lab", 20)
    assert (reading.kernel.release, reading.kernel.arch) == ("2.6.9-89.EL", "i386")


LOONGARCH = """\
CPU 0 Unable to handle kernel paging request at virtual address 0000000000000010, era == 9000000000228888, ra == 0
Oops[#1]:
CPU: 0 PID: 1 Comm: swapper/0 Not tainted 6.1.0 #1
$ 0   : 0000000000000000 9000000000228888 9000000100000000 9000000100003e10
era   : 9000000000228888 lab_do+0x8/0x20 [lab]
    ra    : 9000000000228800 lab_go+0x8/0x20
CSR crmd: 000000b0
BADV: 0000000000000010
Call Trace:
[<9000000000228888>] lab_do+0x8/0x20 [lab]
[<9000000000228800>] lab_go+0x8/0x20
"""
MIPS = """\
Data bus error, epc == ffffffff8012ab34, ra == ffffffff8012ab00
Oops[#1]:
CPU: 0 PID: 1 Comm: init Not tainted 4.14.0 #1
epc   : ffffffff8012ab34 lab_do+0x8/0x20
ra    : ffffffff8012ab00 lab_go+0x8/0x20
Status: 10009ce3 KX SX UX KERNEL EXL IE
Cause : 0000001c
Process init (pid: 1, threadinfo=ffff, task=ffff, tls=0)
Call Trace:
[<ffffffff8012ab34>] lab_do+0x8/0x20
"""


@pytest.mark.parametrize("counter", ["era   :", "   ERA:"])
def test_loongarch_names_the_place_in_small_and_in_large_letters(counter: str) -> None:
    event = only(LOONGARCH.replace("era   :", counter))
    assert (event.kind, event.printed, event.address) == ("null-deref", "lab_do+0x8/0x20 [lab]", 16)
    assert read(LOONGARCH.replace("era   :", counter)).kernel.arch == "loongarch64"


def test_a_bus_error_of_mips_is_no_page_fault() -> None:
    event = only(MIPS)
    assert (event.kind, event.symbol, event.comm) == ("other", "lab_do", "init")


def test_an_oops_of_arm64_behind_a_bad_mode() -> None:
    event = only("""\
[   12.000000] Bad mode in Error handler detected on CPU0, code 0xbf000000 -- SError
[   12.000001] Internal error: Oops - bad mode: 0 [#1] PREEMPT SMP
[   12.000002] Modules linked in: lab
[   12.000003] CPU: 0 PID: 12 Comm: lab Not tainted 4.9.0 #1
[   12.000004] PC is at lab_do+0x10/0x20
[   12.000005] LR is at lab_do+0x10/0x20
[   12.000006] pc : [<ffffff8008081234>] lr : [<ffffff8008081234>] pstate: 60000145
[   12.000007] Call trace:
[   12.000008] [<ffffff8008081234>] lab_do+0x10/0x20
[   12.000009] [<ffffff8008081239>] kthread+0x10/0x20
[   12.000010] Kernel panic - not syncing: Fatal exception in interrupt
""")
    assert (event.kind, event.symbol, event.fatal) == ("other", "lab_do", True)
    assert event.message.startswith("Internal error: Oops - bad mode")


@pytest.mark.parametrize(
    "line",
    [
        "java: page allocation stalls for 12345ms, order:0, mode:0x24200ca(GFP_HIGHUSER_MOVABLE)",
        "insmod: vmalloc: allocation failure: 8388608 bytes, mode:0xd2",
        "XFS (dm-0): Internal error i != 1 at line 1654 of file fs/xfs/libxfs/xfs_alloc.c.  Caller lab_do+0xfc/0x130",
    ],
)
def test_their_relatives(line: str) -> None:
    assert only(f"{line}\n").message == line
