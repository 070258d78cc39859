"""Every kind of first line is known, and lines that only resemble one are not taken for a crash."""

from __future__ import annotations

import pytest

from kbmatch.collectors.logs.console import read_log
from kbmatch.collectors.logs.head_table import TABLE
from kbmatch.collectors.logs.heads import head_at
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
]
NO_CRASH = [
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


def test_every_kind_has_a_head() -> None:
    assert {head_at(row).kind for row in range(len(TABLE))} == set(KINDS)


def test_a_jpeg_and_an_empty_file_are_no_logs() -> None:
    for data in (b"", b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01" + bytes(range(256)) * 40):
        reading = read_log(data)
        assert reading.events == ()
        assert not reading.looks_like_log
