"""Which reports become events, which one ended the kernel, and what only repeats or follows it."""

from __future__ import annotations

from kbmatch.collectors.logs.console import read_log
from kbmatch.engine.signature import Signature

WARN = """\
[  100.000001] ------------[ cut here ]------------
[  100.000002] WARNING: CPU: 1 PID: 50 at lib/lab.c:10 lab_warn+0x10/0x20
[  100.000003] CPU: 1 PID: 50 Comm: a Not tainted 5.4.0-1 #1
[  100.000004] RIP: 0010:lab_warn+0x10/0x20
[  100.000005] RSP: 0018:ffffc90000000000 EFLAGS: 00010246
[  100.000006] Call Trace:
[  100.000007]  lab_x+0x1/0x2
[  100.000008] ---[ end trace 1 ]---
"""


def oops(second: int, nth: int, symbol: str, pid: int = 7, taint: str = "Not tainted", release: str = "5.4.0-1") -> str:
    lines = f"""\
BUG: kernel NULL pointer dereference, address: 0000000000000010
#PF: supervisor read access in kernel mode
Oops: 0000 [#{nth}] SMP PTI
CPU: 0 PID: {pid} Comm: b {taint} {release} #1
RIP: 0010:{symbol}+0x10/0x20
RSP: 0018:ffffc90000000000 EFLAGS: 00010246
Call Trace:
 lab_y+0x1/0x2
CR2: 0000000000000010
---[ end trace 2 ]---
RIP: 0010:{symbol}+0x10/0x20
RSP: 0018:ffffc90000000000 EFLAGS: 00010246"""
    return "".join(f"[{second:5d}.{i:06d}] {t}\n" for i, t in enumerate(lines.split("\n")))


def panic(second: int, reason: str) -> str:
    return f"[{second:5d}.100000] Kernel panic - not syncing: {reason}\n"


def banner(release: str) -> str:
    return f"[    0.000000] Linux version {release} (a@b) (gcc 9) #1 SMP Mon Jan 1 00:00:00 UTC 2024\n"


def read(text: str) -> tuple[Signature, ...]:
    return read_log(text.encode()).events


def fatal(text: str) -> Signature:
    (event,) = [e for e in read(text) if e.fatal]
    return event


def test_a_warning_long_before_the_panic_is_not_the_panic() -> None:
    text = WARN + oops(5000, 1, "lab_f") + panic(5000, "Fatal exception")
    assert [e.kind for e in read(text)] == ["warning", "null-deref"]
    assert fatal(text).symbol == "lab_f"


def test_a_panic_of_its_own_is_an_event() -> None:
    text = WARN + panic(9000, "VFS: Unable to mount root fs on unknown-block(0,0)")
    assert [(e.kind, e.fatal) for e in read(text)] == [("warning", False), ("panic", True)]


def test_panic_on_warn_belongs_to_the_warning() -> None:
    text = WARN.replace("---[ end trace 1 ]---", "Kernel panic - not syncing: panic_on_warn set ...")
    assert [(e.kind, e.fatal) for e in read(text)] == [("warning", True)]


def test_a_survived_oops_is_not_the_one_that_panics_later() -> None:
    text = oops(100, 1, "lab_f") + oops(5000, 2, "lab_g", taint="Tainted: G      D") + panic(5000, "Fatal exception")
    assert [(e.symbol, e.fatal) for e in read(text)] == [("lab_f", False), ("lab_g", True)]


def test_a_secondary_oops_belongs_to_the_first() -> None:
    text = oops(5000, 1, "lab_f") + oops(5001, 2, "lab_g", taint="Tainted: G      D") + panic(5001, "Fatal exception")
    assert fatal(text).symbol == "lab_f"


def test_init_killed_by_an_oops() -> None:
    text = oops(5000, 1, "lab_f", pid=1) + panic(5000, "Attempted to kill init! exitcode=0x00000009")
    assert [(e.kind, e.fatal) for e in read(text)] == [("null-deref", True)]


def test_without_a_panic_the_first_oops_is_fatal() -> None:
    assert fatal(WARN + oops(200, 1, "lab_f") + oops(300, 2, "lab_g")).symbol == "lab_f"
    assert fatal(WARN).kind == "warning"


def test_an_event_of_another_boot_carries_its_release() -> None:
    text = (
        banner("5.4.0-1") + oops(500, 1, "lab_f") + panic(500, "Fatal exception")
        + banner("5.5.0-2") + WARN.replace("5.4.0-1", "5.5.0-2")
    )  # fmt: skip
    reading = read_log(text.encode())
    assert reading.kernel.release == "5.4.0-1"
    assert [(e.symbol, e.fatal, e.release) for e in reading.events] == [
        ("lab_f", True, None),
        ("lab_warn", False, "5.5.0-2"),
    ]


def test_the_banner_of_the_kdump_kernel_does_not_count() -> None:
    text = oops(500, 1, "lab_f", release="5.4.0-7") + panic(500, "Fatal exception") + banner("5.9.0-kdump")
    assert read_log(text.encode()).kernel.release == "5.4.0-7"


def test_a_replayed_report_is_no_second_event_but_noted() -> None:
    reading = read_log((oops(500, 1, "lab_f") + oops(500, 1, "lab_f")).encode())
    assert len(reading.events) == 1
    assert [n.text for n in reading.notes] == ["line 13: repeats the report of line 1"]


def test_hung_tasks_are_one_event_with_a_list() -> None:
    def task(pid: int, function: str) -> str:
        return f"""\
[ 1000.0000{pid:02d}] INFO: task lab/{pid}:{pid} blocked for more than 245 seconds.
[ 1000.0000{pid:02d}]       Tainted: P           OE     5.4.0-1 #1
[ 1000.0000{pid:02d}] "echo 0 > /proc/sys/kernel/hung_task_timeout_secs" disables this message.
[ 1000.0000{pid:02d}] task:lab/{pid} state:D stack:    0 pid:  {pid} ppid:     2 flags:0x00004000
[ 1000.0000{pid:02d}] Call Trace:
[ 1000.0000{pid:02d}]  __schedule+0x2e3/0x740
[ 1000.0000{pid:02d}]  {function}+0x6e/0xa0
"""

    end = panic(1000, "hung_task: blocked tasks") + "[ 1000.1] CPU: 3 PID: 99 Comm: khungtaskd Not tainted 5.4.0-1 #1\n"
    reading = read_log((task(11, "lab_wait") + task(12, "lab_lock") + end).encode())
    (event,) = reading.events
    assert (event.kind, event.fatal, event.symbol, event.pid) == ("hung-task", True, "__schedule", None)
    assert [(t.comm, t.pid, t.seconds) for t in event.tasks] == [("lab/11", 11, 245), ("lab/12", 12, 245)]
    assert [[f.symbol for f in t.trace] for t in event.tasks] == [
        ["__schedule", "lab_wait"],
        ["__schedule", "lab_lock"],
    ]
    assert (reading.kernel.release, reading.kernel.taint) == ("5.4.0-1", ("P", "O", "E"))


def test_soft_lockup_has_cpu_and_task() -> None:
    (event,) = read("[ 9.000001] watchdog: BUG: soft lockup - CPU#7 stuck for 22s! [kworker/7:1:123]\n")
    assert (event.cpu, event.pid, event.comm) == (7, 123, "kworker/7:1")


def test_an_old_sysrq_crash_is_no_null_dereference() -> None:
    (event,) = read("[   10.000000] SysRq : Trigger a crash\n" + oops(10, 1, "sysrq_handle_crash"))
    assert event.kind == "sysrq"


def test_several_heads_of_one_crash_are_one_event() -> None:
    text = """\
[    1.000000] list_del corruption. prev->next should be ffff888100000000, but was dead000000000122
[    1.000001] ------------[ cut here ]------------
[    1.000002] kernel BUG at lib/list_debug.c:53!
[    1.000003] invalid opcode: 0000 [#1] SMP
[    1.000004] CPU: 3 PID: 77 Comm: foo Not tainted 6.1.0 #1
[    1.000005] RIP: 0010:__list_del_entry_valid.cold+0x1/0x2
[    1.000006] Call Trace:
[    1.000007]  lab_remove+0x1/0x2 [lab]
"""
    (event,) = read(text)
    assert (event.kind, event.line, event.source_line) == ("list-corruption", 1, "lib/list_debug.c:53")
    assert event.symbol == "__list_del_entry_valid"


def test_a_warning_that_panics_shows_the_real_frames() -> None:
    text = """\
[    1.000000] WARNING: CPU: 1 PID: 8 at a/b.c:7 lab_top+0x1/0x2
[    1.000001] Kernel panic - not syncing: panic_on_warn set ...
[    1.000002] CPU: 1 PID: 8 Comm: x Not tainted 4.12.0 #2
[    1.000003] Call Trace:
[    1.000004]  dump_stack+0x1/0x2
[    1.000005]  panic+0x1/0x2
[    1.000006]  __warn+0x1/0x2
[    1.000007]  do_invalid_op+0x1/0x2
[    1.000008]  invalid_op+0x1/0x2
[    1.000009] RIP: 0010:lab_top+0x1/0x2
[    1.000010] RSP: 0018:ffff8801c5e37720 EFLAGS: 00010212
[    1.000011]  lab_below+0x1/0x2
"""
    (event,) = read(text)
    assert event.symbol == "lab_top"
    assert [f.symbol for f in event.trace] == ["lab_below"]
    assert event.registers["rsp"] == 0xFFFF8801C5E37720


def test_registers_are_those_of_the_fault_not_of_the_interrupted_context() -> None:
    text = oops(1, 1, "lab_f").replace(
        "CR2: 0",
        "RIP: 0033:0x7f0000000000\n[    1.000009] RSP: 002b:00007fff00000000 EFLAGS: 00000246\n[    1.000009] CR2: 0",
    )
    (event,) = read(text)
    assert event.registers["rsp"] == 0xFFFFC90000000000
    assert (event.address, event.access) == (0x10, "read")


def test_callers_keep_two_reports_apart() -> None:
    def tagged(text: str, caller: str) -> list[str]:
        return [f"{line[:14]}[{caller:>6s}]{line[14:]}" for line in text.rstrip("\n").split("\n")]

    first = tagged(oops(5, 1, "lab_f", pid=1), "T1")
    second = tagged(oops(5, 2, "lab_g", pid=2), "T2")
    mixed = [line for pair in zip(first, second, strict=True) for line in pair]
    assert [(e.symbol, e.pid) for e in read("\n".join(mixed))] == [("lab_f", 1), ("lab_g", 2)]


def test_text_of_programs_is_no_crash() -> None:
    forged = "BUG: kernel NULL pointer dereference, address: 0000000000000010"
    for line in (
        f"<12>[    5.000000] {forged}",
        f"user  :warn  : [    5.000000] {forged}",
        f"Jan  5 11:22:33 host lab[77]: {forged}",
        '{"_TRANSPORT":"syslog","SYSLOG_IDENTIFIER":"lab","MESSAGE":"' + forged + '"}',
        f"12,1,5000000,-;{forged}\n12,2,5000001,-;x",
    ):
        assert read(line + "\n") == (), line


def test_a_cut_report_is_noted_and_used() -> None:
    reading = read_log(b"[    5.000000] BUG: kernel NULL pointer dereference, address: 0000000000000010\n")
    assert [e.address for e in reading.events] == [16]
    assert "cut off" in reading.notes[0].text


def test_lost_lines_inside_a_report_are_noted() -> None:
    text = oops(5, 1, "lab_f").replace(
        "[    5.000006]", "[    5.000006] ** 38 printk messages dropped **\n[    5.000006]"
    )
    assert any("38 lines" in n.text for n in read_log(text.encode()).notes)


def test_a_report_without_its_head_is_read_with_a_note() -> None:
    text = "".join(oops(5, 1, "lab_f").splitlines(keepends=True)[4:])
    reading = read_log(text.encode())
    assert [(e.kind, e.symbol) for e in reading.events] == [("other", "lab_f")]
    assert any("first lines" in n.text for n in reading.notes)


def test_lines_that_a_mail_program_wrapped_are_joined() -> None:
    text = """\
> [   72.159680] WARNING: CPU: 3 PID: 286 at fs/lab/extent-tree.c:2209
> lab_run_delayed_refs+0x1a1/0x1f0 [lab]
> [   72.159681] CPU: 3 PID: 286 Comm: lab-transaction Tainted: G        W  O
> 6.1.0-lab-long-name-of-a-kernel #1
> [   72.159682] RIP: 0010:lab_run_delayed_refs+0x1a1/0x1f0 [lab]
"""
    reading = read_log(text.encode())
    (event,) = reading.events
    assert (event.symbol, event.module) == ("lab_run_delayed_refs", "lab")
    assert (reading.kernel.release, reading.kernel.taint) == ("6.1.0-lab-long-name-of-a-kernel", ("W", "O"))


def test_livepatched_kernels_say_so() -> None:
    text = WARN.replace("Not tainted", "Tainted: G        W   OE K  ")
    kernel = read_log(text.encode()).kernel
    assert (kernel.taint, kernel.livepatched) == (("W", "O", "E", "K"), True)
    assert read_log(b"[    5.000000] BUG: memory leak\n").kernel.livepatched is None


def test_decoded_frames() -> None:
    text = """\
[    1.000000] WARNING: CPU: 1 PID: 8 at mm/util.c:901 lab_copy (include/linux/sched.h:2072 mm/util.c:901) lab
[    1.000001] CPU: 1 PID: 8 Comm: x Not tainted 6.14.0 #2
[    1.000002] RIP: 0010:lab_copy (include/linux/sched.h:2072 mm/util.c:901) lab
[    1.000003] Call Trace:
[    1.000004] lab_above (mm/migrate.c:1080 (discriminator 1)) lab
[    1.000005] ? lab_stale (kernel/fork.c:12)
"""
    (event,) = read(text)
    assert (event.symbol, event.offset) == ("lab_copy", None)
    assert [(f.symbol, f.module, f.reliable) for f in event.trace] == [
        ("lab_above", "lab", True),
        ("lab_stale", "", False),
    ]


def test_two_cpus_at_once_without_caller_ids_are_told_apart() -> None:
    first = oops(5, 1, "lab_f", pid=1).rstrip("\n").split("\n")
    second = oops(5, 2, "lab_g", pid=2).replace("0000010", "0000018").replace("lab_y", "lab_z").rstrip("\n").split("\n")
    mixed = [line for pair in zip(first, second, strict=True) for line in pair]
    reading = read_log(("\n".join(mixed) + "\n" + panic(5, "Fatal exception")).encode())
    assert [(e.symbol, e.pid, e.address, e.fatal) for e in reading.events] == [
        ("lab_f", 1, 0x10, True),
        ("lab_g", 2, 0x18, False),
    ]
    assert [[f.symbol for f in e.trace] for e in reading.events] == [["lab_y"], ["lab_z"]]
    assert any("mixed" in n.text for n in reading.notes)


def test_a_decoded_head_is_repeated_for_each_inlined_level() -> None:
    warning = """\
WARNING: CPU: 1 PID: 655 at drivers/lab/cache.c:809 lab_inner drivers/lab/cache.c:806 [inline]
WARNING: CPU: 1 PID: 655 at drivers/lab/cache.c:809 lab_outer+0x284/0x3cc drivers/lab/cache.c:886
CPU: 1 UID: 0 PID: 655 Comm: x Not tainted 6.12.0 #1
RIP: 0010:lab_inner drivers/lab/cache.c:806 [inline]
RIP: 0010:lab_outer+0x284/0x3cc drivers/lab/cache.c:886
Call Trace:
 lab_caller+0x1/0x2 drivers/lab/main.c:1
"""
    (event,) = read(warning)
    assert (event.symbol, event.offset) == ("lab_outer", 0x284)
    kmsan = """\
BUG: KMSAN: uninit-value in lab_inner include/lab.h:253 [inline]
BUG: KMSAN: uninit-value in lab_outer+0x7df/0x1e50 include/lab.h:321
 lab_inner include/lab.h:253 [inline]
 lab_outer+0x7df/0x1e50 include/lab.h:321
 lab_caller+0x178/0x1b0 net/lab.c:727

Uninit was created at:
 lab_alloc+0x1/0x2 mm/lab.c:1
"""
    (event,) = read(kmsan)
    assert (event.kind, event.symbol) == ("kmsan", "lab_outer")
    assert [f.symbol for f in event.trace] == ["lab_inner", "lab_outer", "lab_caller"]


def test_frames_count_where_the_trace_header_is_left_out() -> None:
    (event,) = read(
        "UBSAN: array-index-out-of-bounds in a/b.c:1:2\nindex 9 is out of range\n lab_a+0x1/0x2\n lab_b+0x1/0x2\n"
    )
    assert [f.symbol for f in event.trace] == ["lab_a", "lab_b"]


def test_kmemleak_objects() -> None:
    text = """\
unreferenced object 0xffff888115ed25a0 (size 8):
  comm "modprobe", pid 727, jiffies 4295051278 (age 25.529s)
  backtrace:
    [<000000007f457abb>] __kmalloc_node+0x4c/0xc0
    [<00000000a87bfa9e>] lab_alloc+0x6f/0x180
"""
    (event,) = read(text)
    assert event.kind == "memory-leak"
    assert [f.symbol for f in event.trace] == ["__kmalloc_node", "lab_alloc"]


def test_the_head_that_syslogd_sends_to_all_terminals_is_no_event_of_its_own() -> None:
    head = "watchdog: BUG: soft lockup - CPU#3 stuck for 26s! [lab:6976]"
    wall = f"Message from syslogd@rhel9 at Apr 19 14:14:55 ...\n kernel:{head}\n\n"
    report = f"[   10.000001] {head}\n[   10.000002] RIP: 0010:lab_spin+0x1/0x2\n[   10.000003] RAX: 0000000000000001\n"
    (event,) = read(wall + report)
    assert event.symbol == "lab_spin"


def test_the_place_in_an_i386_oops_of_2_6_32() -> None:
    (event,) = read(
        "BUG: unable to handle kernel NULL pointer dereference at 00000004\n"
        "IP: [<f7c1234a>] lab_read+0xa/0x30 [lab]\n"
        "Oops: 0000 [#1] SMP\n"
        "EIP: 0060:[<f7c1234a>] EFLAGS: 00010246 CPU: 0\n"
        "EIP is at lab_read+0xa/0x30 [lab]\n"
        "EAX: 00000000 EBX: f6a1c000 ECX: 00000000 EDX: 00000001\n"
    )
    assert (event.symbol, event.offset, event.module) == ("lab_read", 10, "lab")
    assert (event.registers["eip"], event.registers["ebx"]) == (0xF7C1234A, 0xF6A1C000)


def test_a_log_whose_lines_kept_only_the_word_kernel() -> None:
    text = """\
kernel: divide error: 0000 [#1] SMP NOPTI
kernel: CPU: 0 PID: 1603 Comm: a Not tainted 5.14.6-1
kernel: RIP: 0010:lab_divide+0x1d1/0x850 [lab]
kernel: Call Trace:
kernel:  lab_caller+0x2c/0x290 [lab]
"""
    event = read_log(text.encode()).events[0]
    assert (event.kind, event.symbol) == ("divide-error", "lab_divide")
    assert [f.symbol for f in event.trace] == ["lab_caller"]
