"""Where a fact stands, and whose fault it is where a report mixes with another or names several places."""

from __future__ import annotations

import io

from kbmatch.collectors.logs.console import read_log, scan_stream
from kbmatch.engine.culprit import assign_culprits
from kbmatch.engine.signature import Signature
from kbmatch.kb.store.frames import load_helper_frames

OOPS = """\
[   10.000001] BUG: kernel NULL pointer dereference, address: 000000000000002c
[   10.000002] #PF: supervisor read access in kernel mode
[   10.000003] #PF: error_code(0x0000) - not-present page
[   10.000004] Oops: 0000 [#1] SMP PTI
[   10.000005] CPU: 1 PID: 77 Comm: lab Not tainted 6.1.0 #1
[   10.000006] RIP: 0010:lab_poll+0x1b/0x30 [lab]
[   10.000007] Code: 00 00 00 48 89 fb <8b> 7b 2c e8 00 00 00 00 5b c3 cc cc cc cc
[   10.000008] RSP: 0018:ffffc90000003ea8 EFLAGS: 00010246
[   10.000009] RAX: 0000000000000000 RBX: 0000000000000000 RCX: 0000000000000001
[   10.000010] Call Trace:
[   10.000011]  <IRQ>
[   10.000012]  net_rx_action+0x289/0x3f4
[   10.000013]  __do_softirq+0xd1/0x2f0
[   10.000014] ---[ end trace 0000000000000000 ]---
"""


def only(text: str) -> Signature:
    (event,) = assign_culprits(read_log(text.encode()).events, load_helper_frames())
    return event


def blamed(event: Signature) -> str | None:
    return event.culprit.symbol if event.culprit else None


def test_facts_know_their_lines_where_it_is_not_the_head_s() -> None:
    event = only("padding\n\n" + OOPS)
    assert event.line == 3
    assert event.lines == {
        "symbol": 8,
        "access": 4,
        "code": 9,
        "instruction": 9,
        "registers": 10,
        "trace": 14,
    }


def test_the_line_of_an_address_that_only_cr2_tells() -> None:
    text = OOPS.replace(", address: 000000000000002c", "").replace(
        "[   10.000010] Call", "[   10.000009] CR2: 000000000000002c CR3: 0000000001234000\n[   10.000010] Call"
    )
    event = only(text)
    assert (event.address, event.lines["address"]) == (0x2C, 10)


def test_a_warning_knows_its_place_from_the_head() -> None:
    event = only("WARNING: CPU: 0 PID: 1 at lab/lab.c:12 lab_thing+0x12/0x50\nCall Trace:\n lab_up+0x1/0x2\n")
    assert event.lines == {"trace": 3}


LOCKDEP = """\
======================================================
WARNING: possible circular locking dependency detected
5.5.0 #10 Not tainted
------------------------------------------------------
lab/3699 is trying to acquire lock:
ffff88803d3d5d28 ((wq_completion)lab){+.+.}, at: flush_workqueue+0xe6/0x1520

but task is already holding lock:
ffff88805ffdce80 (&lab->lock){++++}, at: lab_set+0xfb7/0x1490

which lock already depends on the new lock.
stack backtrace:
CPU: 0 PID: 3699 Comm: lab Not tainted 5.5.0 #10
Call Trace:
 dump_stack+0x197/0x210
 lock_acquire+0x194/0x410
 flush_workqueue+0x115/0x1520
 lab_peer_remove+0x16a/0x230
 lab_set+0x10a4/0x1490
"""


def test_who_holds_the_lock_is_blamed_where_a_helper_takes_the_other() -> None:
    event = only(LOCKDEP)
    assert (event.kind, event.symbol, event.lines["symbol"]) == ("lockdep", "flush_workqueue", 6)
    assert blamed(event) == "lab_set"


def test_decoded_lockdep_names_the_function_with_the_offset_and_blames_the_inlined_one() -> None:
    site = "ffff88803d3d5d28 (&lab->lock){+.+.}, at: "
    decoded = LOCKDEP.replace(
        "ffff88803d3d5d28 ((wq_completion)lab){+.+.}, at: flush_workqueue+0xe6/0x1520\n",
        f"{site}spin_lock include/linux/spinlock.h:350 [inline]\n"
        f"{site}lab_inlined lab/lab.c:10 [inline]\n"
        f"{site}lab_outer+0x28/0xe0 lab/lab.c:20\n",
    )
    event = only(decoded)
    assert (event.symbol, event.offset, event.lines["symbol"]) == ("lab_outer", 0x28, 8)
    assert [frame.symbol for frame in event.locks] == ["spin_lock", "lab_inlined", "lab_outer", "lab_set"]
    assert blamed(event) == "lab_inlined"


def test_an_unlock_that_lockdep_prints_by_address() -> None:
    event = only(
        "WARNING: bad unlock balance detected!\n6.3.0 #0 Not tainted\n-----\n"
        "lab/5 is trying to release lock (&lab->lock) at:\n[<ffffffff89148e14>] lab_release+0x85a4/0x9390 [lab]\n"
        "but there are no more locks to release!\n"
    )
    assert (event.symbol, event.module, blamed(event)) == ("lab_release", "lab", "lab_release")


STALL = """\
[  611.778481][    C1] rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:
[  611.785841][    C1] rcu: \tTasks blocked on level-0 rcu_node (CPUs 0-1):
[  611.785848][    C1] ------------[ cut here ]------------
[  611.803253][    C1] WARNING: CPU: 1 PID: 4737 at kernel/sched/core.c:2698 lab_invoke+0x18b/0x320
[  611.822004][    C1] CPU: 1 PID: 4737 Comm: lab Not tainted 5.8.0 #0
[  611.840748][    C1] Call Trace:
[  611.844041][    C1]  <IRQ>
[  611.847038][    C1]  dump_stack+0x1f0/0x31e
[  611.887028][    C1]  exc_invalid_op+0x16/0x40
[  611.895859][    C1]  asm_exc_invalid_op+0x12/0x20
[  611.900723][    C1] RIP: 0010:lab_invoke+0x18b/0x320
[  611.933365][    C1] RAX: 82cfb6c0e4d32500 RBX: ffff888096c1ee08 RCX: ffff888096c1e580
[  611.983534][    C1]  rcu_sched_clock_irq+0x12ec/0x1eb0
[  611.993836][    C1]  update_process_times+0x12c/0x180
[  612.025733][    C1]  asm_call_on_stack+0xf/0x20
[  612.030407][    C1]  </IRQ>
[  612.033350][    C1]  sysvec_apic_timer_interrupt+0xb9/0x130
[  612.039081][    C1]  asm_sysvec_apic_timer_interrupt+0x12/0x20
[  612.045068][    C1] RIP: 0010:lab_wait+0x311/0x450
[  612.077068][    C1] RAX: 0000000000000000 RBX: 1ffff92000384f81 RCX: ffff888096c1e580
[  612.145958][    C1]  lab_loop+0x4d/0x1f0
[  612.174200][    C1]  __x64_sys_clock_adjtime+0x17e/0x210
[  612.185765][    C1]  do_syscall_64+0x73/0xe0
"""


def test_a_warning_inside_a_stall_s_report_tells_where_the_cpu_stood() -> None:
    stall, warning = assign_culprits(read_log(STALL.encode()).events, load_helper_frames())
    assert (stall.kind, stall.symbol, stall.lines["symbol"]) == ("rcu-stall", "lab_wait", 19)
    assert [frame.symbol for frame in stall.trace][:2] == ["lab_loop", "__x64_sys_clock_adjtime"]
    assert stall.registers == {}
    assert blamed(stall) == "__x64_sys_clock_adjtime"
    assert (warning.kind, warning.symbol) == ("warning", "lab_invoke")


GPF = """\
general protection fault, probably for non-canonical address 0xdffffc0000000001: 0000 [#1] PREEMPT SMP KASAN
KASAN: null-ptr-deref in range [0x0000000000000008-0x000000000000000f]
CPU: 0 PID: 77 Comm: lab Not tainted 6.1.0 #1
RIP: 0010:lab_get+0x1b/0x30
"""


def test_kasan_tells_the_address_behind_its_shadow() -> None:
    event = only(GPF)
    assert (event.kind, event.address, event.lines["address"]) == ("gpf", 8, 2)
    arm = GPF.replace("RIP: 0010:lab", "pc : lab").split("\n", 1)[1]
    arm = "Unable to handle kernel paging request at virtual address dfff800000000001\n" + arm
    assert (only(arm).kind, only(arm).address) == ("null-deref", 8)


def test_kasan_s_line_is_the_head_only_where_the_real_one_is_missing() -> None:
    torn = only(GPF.split("\n", 1)[1])
    assert (torn.kind, torn.symbol, torn.address) == ("gpf", "lab_get", 8)


def test_dentry_still_in_use_is_one_event_with_its_warning() -> None:
    event = only(
        "[  538.260174] BUG: Dentry ffff88810e2ca880{i=0,n=lab} still in use (1) [unmount of ext4 loop4]\n"
        "[  538.260174] ------------[ cut here ]------------\n"
        "[  538.260174] WARNING: CPU: 0 PID: 380 at fs/dcache.c:1616 umount_check+0x18d/0x1d0\n"
    )
    assert (event.kind, event.symbol) == ("bug", "umount_check")


def test_blanked_and_vendors_timestamps_come_off() -> None:
    for stamp in ("[] ", "[ ] ", "[      ] ", "[name:lockdep&]", "[ 2745.362941,17] "):
        text = "".join(stamp + line.split("] ", 1)[1] + "\n" for line in OOPS.splitlines())
        event = only(text)
        assert (event.kind, event.symbol, event.module) == ("null-deref", "lab_poll", "lab"), stamp
    assert (
        only("elo 16 17:51:58 labhost kernel: " + "WARNING: CPU: 0 PID: 1 at lab.c:2 lab_f+0x1/0x2\n").symbol == "lab_f"
    )


def test_mips_and_loongarch_counters() -> None:
    mips = only(
        "CPU 0 Unable to handle kernel paging request at virtual address 000000bc, epc == 8048b3a4, ra == 80470a78\n"
        "Oops[#1]:\nCPU: 0 UID: 0 PID: 1 Comm: swapper/0 Not tainted 6.19.0 #35\n"
        "epc   : 8048b3a4 lab_fwnode+0x0/0xc\nra    : 80470a78 lab_add+0xa0/0x168\nCall Trace:\n"
        "[<8048b3a4>] lab_fwnode+0x0/0xc\n[<80470a78>] lab_add+0xa0/0x168\n"
    )
    assert (mips.kind, mips.address, mips.cpu, mips.symbol) == ("null-deref", 0xBC, 0, "lab_fwnode")
    loong = only(
        "CPU 0 Unable to handle kernel paging request at virtual address ffff80001b898004, era == 9000000003137f7c\n"
        "Oops[#3]:\nCPU: 0 PID: 1326 Comm: lab Not tainted 6.7.0 #47\n"
        "   ra: 9000000003139e70 lab_body+0x1fcc/0x4988\n  ERA: 9000000003137f7c lab_body+0xd8/0x4988\n"
    )
    assert (loong.kind, loong.symbol, loong.offset) == ("page-fault", "lab_body", 0xD8)


def test_a_torn_report_in_a_long_stream_is_still_read() -> None:
    filler = b"[    1.000000] lab: nothing happens here at all, and that is fine\n" * 80_000
    torn = OOPS.split("\n", 5)[5].encode()
    reading = scan_stream(io.BytesIO(filler + torn + filler))
    (event,) = reading.events
    assert (event.symbol, event.line) == ("lab_poll", 80_001)
    assert any("first lines of this report are missing" in note.text for note in reading.notes)


def test_pstore_parts_in_a_long_stream_are_put_in_order() -> None:
    lines = [f"<6>[    1.{n:06}] lab: filler that makes the record long enough for a stream" for n in range(70_000)]
    older = "\n".join(lines)
    newest = "\n".join(f"<4>{line}" for line in OOPS.splitlines())
    data = f"Panic#1 Part1\n{newest}\nPanic#1 Part2\n{older}\n".encode()
    assert len(data) > 4 << 20
    (event,) = scan_stream(io.BytesIO(data)).events
    assert (event.kind, event.symbol) == ("null-deref", "lab_poll")
