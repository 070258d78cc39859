"""Every kind of first line is known, and lines that only resemble one are not taken for a crash."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kbmatch.collectors.logs.console import read_log
from kbmatch.collectors.logs.head_table import TABLE
from kbmatch.collectors.logs.heads import head_at, match_head
from kbmatch.collectors.logs.unwrapping import printed_lines
from kbmatch.engine.kinds import KINDS

HEAD_LINES = [
    ("null-deref", "BUG: unable to handle kernel NULL pointer dereference at 0000000000000008"),
    ("null-deref", "BUG: unable to handle page fault for address: 0000000000000a10"),
    ("page-fault", "BUG: unable to handle page fault for address: ffffc90000001000"),
    ("page-fault", "BUG: unable to handle kernel paging request at ffffeb04000002c0"),
    ("page-fault", "BUG: Unable to handle kernel data access on write at 0xc00000020000b000"),
    ("page-fault", "Unable to handle kernel paging request for data at address 0xd000000012345678"),
    (
        "page-fault",
        "Unable to handle kernel access to user memory outside uaccess routines at virtual address 0000000077360000",
    ),
    ("gpf", "general protection fault: 0000 [#1] SMP NOPTI"),
    ("gpf", "Oops: general protection fault, probably for non-canonical address 0xdead000000000122: 0000 [#1] SMP"),
    ("double-fault", "PANIC: double fault, error_code: 0x0"),
    ("double-fault", "double fault: 0000 [#1] SMP"),
    (
        "stack-overflow",
        "BUG: stack guard page was hit at ffffc90000a51ff8 (stack is ffffc90000a52000..ffffc90000a55fff)",
    ),
    ("divide-error", "divide error: 0000 [#1] SMP PTI"),
    ("invalid-opcode", "invalid opcode: 0000 [#1] SMP"),
    ("bug", "kernel BUG at fs/ext4/inode.c:2712!"),
    ("warning", "WARNING: at kernel/sched.c:5944 lab_thing+0x12/0x50() (Not tainted)"),
    ("warning", "WARNING: CPU: 3 PID: 44 at net/core/dev.c:1 lab_thing+0x12/0x50"),
    ("warning", "WARNING: net/core/dev.c:123 at lab_dev+0x10/0x20, CPU#3: foo/77"),
    ("panic", "Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)"),
    ("sysrq", "sysrq: Trigger a crash"),
    ("sysrq", "SysRq : Trigger a crash"),
    ("kasan", "BUG: KASAN: slab-use-after-free in lab_read+0x12/0x50 [lab]"),
    ("kasan", "BUG: KASAN: wild-memory-access on address ffe7087450a17000"),
    ("kmsan", "BUG: KMSAN: uninit-value in lab_read+0x12/0x50"),
    ("kcsan", "BUG: KCSAN: data-race in lab_read / lab_write"),
    ("kfence", "BUG: KFENCE: use-after-free read in lab_read+0x12/0x50"),
    ("ubsan", "UBSAN: array-index-out-of-bounds in drivers/lab/lab.c:12:34"),
    ("refcount", "refcount_t: underflow; use-after-free."),
    ("list-corruption", "list_del corruption. prev->next should be ffff888100000000, but was dead000000000122"),
    ("list-corruption", "list_add corruption. next->prev should be prev (ffff888100000000), but was 0000000000000000."),
    ("bad-page", "BUG: Bad page state in process kswapd0  pfn:12345"),
    ("bad-page", "BUG: Bad page map in process mysqld  pte:8000000000000025 pmd:12345067"),
    (
        "usercopy",
        "usercopy: Kernel memory overwrite attempt detected to SLUB object 'kmalloc-64' (offset 0, size 128)!",
    ),
    ("stack-segment", "stack segment: 0000 [#1] SMP"),
    ("alignment", "alignment check: 0000 [#1] SMP"),
    ("soft-lockup", "watchdog: BUG: soft lockup - CPU#7 stuck for 22s! [kworker/7:1:123]"),
    ("soft-lockup", "NMI watchdog: BUG: soft lockup - CPU#7 stuck for 22s! [kworker/7:1:123]"),
    ("hard-lockup", "NMI watchdog: Watchdog detected hard LOCKUP on cpu 4"),
    ("hard-lockup", "watchdog: CPU 3 self-detected hard LOCKUP @ lab_spin+0x10/0x20"),
    ("hung-task", "INFO: task jbd2/sda1-8:412 blocked for more than 120 seconds."),
    ("hung-task", "INFO: task lab:412 <writer> blocked for more than 120 seconds."),
    ("rcu-stall", "rcu: INFO: rcu_sched self-detected stall on CPU"),
    ("rcu-stall", "INFO: rcu_sched_state detected stalls on CPUs/tasks: { 3} (detected by 0, t=60002 jiffies)"),
    ("rcu-stall", "rcu: INFO: rcu_preempt detected expedited stalls on CPUs/tasks: { 1-...D } 21004 jiffies"),
    ("workqueue-stall", "BUG: workqueue lockup - pool cpus=0 node=0 flags=0x0 nice=0 stuck for 32s!"),
    ("lockdep", "WARNING: possible circular locking dependency detected"),
    ("lockdep", "[ INFO: inconsistent lock state ]"),
    ("lockdep", "WARNING: suspicious RCU usage"),
    ("lockdep", "BUG: spinlock bad magic on CPU#1, swapper/1"),
    ("atomic-sleep", "BUG: sleeping function called from invalid context at mm/slab.h:420"),
    ("atomic-sleep", "BUG: scheduling while atomic: swapper/3/0/0x00000100"),
    ("atomic-sleep", "BUG: using smp_processor_id() in preemptible [00000000] code: lab/44"),
    ("memory-leak", "BUG: memory leak"),
    ("oom", "java invoked oom-killer: gfp_mask=0x201da, order=0, oom_score_adj=0"),
    ("oom", "Out of memory: Killed process 4322 (java) total-vm:1000kB, anon-rss:900kB"),
    ("mce", "mce: [Hardware Error]: CPU 12: Machine Check Exception: 5 Bank 6: be00000000800400"),
    ("mce", "{1}[Hardware Error]: event severity: fatal"),
    ("other", "BUG kmalloc-64 (Tainted: G    B  ): Poison overwritten"),
    ("other", "slab error in verify_redzone_free(): cache `lab_cache': memory outside object was overwritten"),
    ("other", "Slab corruption (Not tainted): lab_cache start=ffff88001e0e6000, len=64"),
    ("null-deref", "BUG: unable to handle kernel NULL pointer dereference at virtual address 00000004"),
    ("null-deref", "Unable to handle kernel NULL pointer dereference at virtual address 00000008 when read"),
    ("page-fault", "Unable to handle kernel execution of user memory at virtual address 0000000000412340"),
    ("page-fault", "Unable to handle kernel execution of memory at virtual address bf004000 when execute"),
    ("page-fault", "Unable to handle kernel paging request for unaligned access at address 0xc0000001f3a21003"),
    ("page-fault", "BUG: Unable to handle kernel instruction fetch (function pointer?) at 0xc00800000bad0000"),
    ("page-fault", "BUG: Unable to handle unknown paging fault at 0xc00800000bad0000"),
    (
        "page-fault",
        "CPU 3 Unable to handle kernel paging request at virtual address 00ab00bc, epc == 8048b3a4, ra == 80470a78",
    ),
    ("page-fault", "Unhandled fault at 0xffff80001234a000"),
    ("page-fault", "PANIC: early exception 0x0e IP 10:ffffffff81c5b0b1 error 0 cr2 0xffffea0000000000"),
    ("page-fault", "addressing exception: 0005 ilc:2 [#1] SMP"),
    ("divide-error", "fixpoint divide exception: 0009 ilc:2 [#1] SMP"),
    ("invalid-opcode", "operation exception: 0001 ilc:2 [#1] SMP"),
    ("alignment", "Internal error: Oops - SP/PC alignment exception: 8a000000 [#1] SMP"),
    ("ubsan", "Internal error: UBSAN: array index out of bounds: 00000000f2005512 [#1] SMP"),
    ("ubsan", "Internal error: BRK handler: 00000000f2005512 [#1] SMP"),
    ("bug", "Internal error: BRK handler: f2000800 [#1] PREEMPT SMP"),
    ("bug", "Kernel bug detected[#1]:"),
    ("bug", "Kernel BUG at lab_thing+0x12/0x50 [verbose debug info unavailable]"),
    ("bug", "CFI failure at lab_call+0x12/0x50 [lab] (target: lab_cb+0x0/0x40; expected type: 0x12345678)"),
    ("hard-lockup", "watchdog: CPU 2 detected hard LOCKUP on other CPUs 5"),
    ("rcu-stall", "INFO: RCU detected CPU 3 stall (t=60000 jiffies)"),
    ("rcu-stall", "rcu: INFO: rcu_tasks_trace detected stalls on tasks:"),
    ("atomic-sleep", "bad: scheduling from the idle thread!"),
    ("warning", "Badness at drivers/lab/lab.c:123"),
    ("bug", "BUG: Dentry 00000000f4a3b2c1{i=40,n=lab} still in use (1) [unmount of tmpfs tmpfs]"),
    ("gpf", "KASAN: null-ptr-deref in range [0x0000000000000008-0x000000000000000f]"),
    ("mce", "Oops: Machine check, sig: 7 [#1]"),
    ("mce", "EDAC MC0: 1 UE memory read error on CPU_SrcID#0_Ha#0_Chan#0_DIMM#0"),
    ("mce", "mce: Uncorrected hardware memory error in user-access at 12345000"),
    ("mce", "SError Interrupt on CPU4, code 0xbf000002 -- SError"),
    ("mce", "cpu 0x1: Vector: 200 (Machine Check) at [c0000000fffbf5c0]"),
    ("page-fault", "cpu 0x0: Vector: 380 (Data SLB Access) at [c0000000fffbf5c0]"),
    ("page-fault", "Oops: Kernel access of bad area, sig: 11 [#1]"),
    ("page-fault", "Oops [#1]"),
    ("page-fault", "Oops - load access fault [#1]"),
    ("page-fault", "Internal error: Accessing user space memory with fs=KERNEL_DS: 9600004f [#1] SMP"),
    ("page-fault", "Internal error: Attempting to execute userspace memory: 8600000f [#1] PREEMPT SMP"),
    ("alignment", "Oops - load address misaligned [#1]"),
    ("stack-overflow", "Oops: Kernel stack overflow, sig: 11 [#1]"),
    ("invalid-opcode", "Oops: Exception in kernel mode, sig: 4 [#1]"),
    ("invalid-opcode", "Internal error: Oops - undefined instruction: 0 [#1] SMP ARM"),
    ("invalid-opcode", "cpu 0x3: Vector: 700 (Program Check) at [c0000000fffbf5c0]"),
    ("bug", "Oops: Exception in kernel mode, sig: 5 [#1]"),
    ("bug", "Internal error: Oops - CFI: 00000000f2008228 [#1] PREEMPT SMP"),
    ("bug", "VERIFY3(0 == dmu_bonus_hold(os, object, FTAG, &db)) failed (0 == 5)"),
    ("bug", "VERIFY(!list_is_empty(&tx->tx_list)) failed"),
    ("bug", "PANIC at zil.c:423:zil_parse()"),
    ("bug", "PANIC: zfs: adding existent segment to range tree (offset=1a size=2000)"),
    ("bug", "SPLError: 3952:0:(ddt.c:1084:ddt_sync_entry()) SPL PANIC"),
    ("bug", "LustreError: 2711:0:(osc_cache.c:936:osc_extent_wait()) LBUG"),
    ("other", "Oops: Unrecoverable FP Unavailable Exception, sig: 6 [#1]"),
    ("other", "Oops: System Reset, sig: 6 [#1]"),
    ("other", "Internal error: Oops - bad mode: 0 [#1] PREEMPT SMP ARM"),
    ("other", "Internal error: synchronous external abort: 0000000096000210 [#1] SMP"),
    ("other", "Bad mode in Error handler detected on CPU0, code 0xbf000000 -- SError"),
    ("other", "Bad mode in Synchronous Abort handler detected, code 0x8600000f -- IABT (current EL)"),
    ("other", "Unrecoverable FP Unavailable Exception 800 at c000000000001234"),
    ("other", "Fixing recursive fault but reboot is needed!"),
    ("other", "cpu 0x2: Vector: 100 (System Reset) at [c0000000fffbf5c0]"),
    ("other", "Data bus error, epc == ffffffff8012ab34, ra == ffffffff8012ab00"),
    ("other", "NMI: IOCK error (debug interrupt?) for reason 71 on CPU 0."),
    ("other", "NMI: PCI system error (SERR) for reason a1 on CPU 0."),
    ("other", "Uhhuh. NMI received for unknown reason 3d on CPU 2."),
    ("other", 'irq 16: nobody cared (try booting with the "irqpoll" option)'),
    ("other", "tcpdump: page allocation failure: order:9, mode:0x20"),
    ("other", "swapper/0: page allocation failure. order:5, mode:0x4020"),
    (
        "other",
        "XFS (sda1): Internal error xfs_trans_cancel at line 957 of file fs/xfs/xfs_trans.c.  Caller lab+0x1/0x2",
    ),
    ("oom", "Task in /kubepods/burstable/pod1 killed as a result of limit of /kubepods/burstable/pod1"),
    ("oom", "Memory cgroup out of memory: Killed process 4322 (java) total-vm:1000kB, anon-rss:900kB"),
    ("hard-lockup", "watchdog: Watchdog detected hard LOCKUP on cpu 3"),
    ("rcu-stall", "rcu: INFO: rcu_preempt self-detected stall on CPU"),
    ("panic", "Kernel panic - not syncing: corrupted stack end detected inside scheduler"),
    ("panic", "Kernel panic - not syncing: Timeout: Not all CPUs entered broadcast exception handler"),
    ("panic", "Kernel panic-not syncing: VFS: unable to mount root fs on unknown-block(0,0)"),
    ("panic", "kernel Panic- Not Syncing : VFS: unable to mount root fs"),
]
NO_CRASH = [
    "hrtimer: interrupt took 45678 ns",
    "kernel panic is what I saw, it was not syncing",
    "lab: the page allocation failure of yesterday",
    "xfs_repair: Internal error at line 3",
    "EDAC MC0: Giving out device to module sb_edac",
    "NMI watchdog: Enabled. Permanently consumes one hw-PMU counter.",
    "ASSERT is not VERIFY (nothing failed)",
    "WARNING: The mand mount option has been deprecated and",
    "traps: lab[12] general protection fault ip:7feb96eb56a1 sp:20000fd0 error:0 in lab[7feb96e75000+84000]",
    "lab[12]: segfault at 0 ip 00007f sp 00007f error 4 in lab",
    "mce: [Hardware Error]: Machine check events logged",
    "INFO: NMI handler (perf_event_nmi_handler) took too long to run: 1.403 msecs",
    "EDAC MC0: 1 CE memory read error on CPU_SrcID#0",
    "systemd[1]: Starting Crash recovery kernel arming...",
    "Kernel command line: panic=10 oops=panic softlockup_panic=1",
    "sysrq: SysRq : Emergency Sync",
    "BUG UNIX (Not tainted): kasan: bad access detected",
    "watchdog: CPU 5 became unstuck TB:1234567",
    "workqueue: lab_work [lab] hogged CPU for >10000us 4 times, consider switching to WQ_UNBOUND",
    "sysfs: cannot create duplicate filename '/class/lab/lab0'",
    "page:ffffea0000001000 is fine",
    "Slab: 1234 kB",
    "lab: bad: schedule of the month",
    "Memory failure: 0x12345: recovery action for dirty page: Recovered",
    "INFO: lockdep is turned off.",
]


@pytest.mark.parametrize(("kind", "line"), HEAD_LINES)
def test_first_line_gives_its_kind(kind: str, line: str) -> None:
    (event,) = read_log(f"[   72.159680] {line}\n".encode()).events
    assert event.kind == kind
    assert event.message == line
    assert event.time == 72.159680


@pytest.mark.parametrize("line", NO_CRASH)
def test_no_crash(line: str) -> None:
    reading = read_log(f"[   72.159680] {line}\n".encode())
    assert reading.events == ()
    assert reading.looks_like_log


def test_no_head_is_missed_for_the_texts_that_its_line_has_to_contain(shared: Path) -> None:
    """`needles` only spare work: the first row whose pattern fits decides, on every line that looks like a head."""
    lines = {line for _, line in HEAD_LINES} | set(NO_CRASH)
    for path in sorted((shared / "corpus" / "console").glob("*.log"))[::7]:
        for line in printed_lines(path.read_bytes()):
            if re.search("BUG|INFO|WARN|Oops|panic|fault|error|#", line.text):
                lines.add(line.text)
    rows = [head_at(row) for row in range(len(TABLE))]
    for line in sorted(lines)[:4000]:
        first = next((head for head in rows if head.pattern.match(line)), None)
        found = match_head(line)
        assert (found and found.head) == first, line


def test_every_kind_has_a_head() -> None:
    assert {head_at(row).kind for row in range(len(TABLE))} == set(KINDS)


def test_a_jpeg_and_an_empty_file_are_no_logs() -> None:
    for data in (b"", b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01" + bytes(range(256)) * 40):
        reading = read_log(data)
        assert reading.events == ()
        assert not reading.looks_like_log
