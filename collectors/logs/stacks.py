"""Which of a report's traces tells the crash, and in what context the CPU stood.

Sources: kernel/rcu/tree_stall.h (what an RCU stall dumps), lib/nmi_backtrace.c, arch/x86/kernel/dumpstack_64.c (stack
marks), kernel/softirq.c.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from kbmatch.collectors.logs.draft import Body, TraceSection
from kbmatch.collectors.logs.lines import Line
from kbmatch.collectors.logs.registers import Where
from kbmatch.engine.patterns import lazy
from kbmatch.engine.signature import Frame

_ENTRY = lazy(
    r"(?:asm_)?(?:exc_|sysvec_)\w+|invalid_op|apic_timer_interrupt|smp_apic_timer_interrupt|\w*reschedule_interrupt|"
    r"call_function(?:_single)?_interrupt|ret_from_intr|__irq_svc|el1_interrupt|el1h_64_irq_handler"
    r"|arch_timer_handler_\w+_unused|common_interrupt|nmi|end_repeat_nmi|page_fault|async_page_fault|"
    r"general_protection|error_entry|do_IRQ|el1_irq|el1h_64_irq|el1h_64_sync|el1_sync|el1_dbg|double_fault"
    r"|divide_error|"
    r"xen_hvm_callback_vector|xen_do_hypervisor_callback|xen_do_upcall|hyperv_callback_vector"
    r"|hv_stimer0_callback_vector"
)
_EXCEPTION = lazy(
    r"(?:asm_)?exc_(?!nmi)\w+|\w*invalid_op|\w*page_fault|general_protection|error_entry|el1h?_(?:64_)?(?:sync|dbg)\w*"
)
_SOFTIRQ = frozenset(
    [
        "__do_softirq",
        "handle_softirqs",
        "do_softirq",
        "do_softirq_own_stack",
        "call_softirq",
        "run_ksoftirqd",
        "__softirqentry_text_start",
        "invoke_softirq",
        "____do_softirq",
    ]
)
_HARDIRQ = frozenset(
    [
        "gic_handle_irq",
        "handle_domain_irq",
        "generic_handle_domain_irq",
        "el1_irq",
        "el1h_64_irq",
        "__irq_svc",
        "do_IRQ",
        "common_interrupt",
        "sysvec_apic_timer_interrupt",
        "smp_apic_timer_interrupt",
        "handle_irq_event",
        "__handle_irq_event_percpu",
        "do_irq",
    ]
)
_BLOCK = lazy(
    r"(?:rcu: )?(?:NMI backtrace for cpu (?P<nmi>\d+)|Task dump for CPU (?P<task>\d+)"
    r"|(?P<own>RCU grace-period kthread stack dump)|"
    r"(?P<own2>Stack dump where RCU GP kthread))"
)
_STALLED = lazy(r"(?:rcu: )?\s*(\d+)-\S{1,6}: \(|.*\bCPU \{? ?(\d+)|.*stalls on CPUs/tasks: \{ ?(\d+)")


def stalled_lines(lines: list[Line]) -> list[Line]:
    """Of an RCU stall's lines those that show the stalled CPU: kernel/rcu/tree_stall.h also dumps RCU's own kthread and
    the CPU where it last ran, before the CPU that is to blame.
    """
    stalled: set[int] = set()
    blocks: list[tuple[int | None, list[Line]]] = [(None, [])]
    for line in lines:
        match = _BLOCK.match(line.text)
        if match:
            number = match["nmi"] or match["task"]
            blocks.append((int(number) if number else -1, []))
        elif len(blocks) == 1:
            named = _STALLED.match(line.text)
            if named:
                stalled.add(int(named[1] or named[2] or named[3]))
        blocks[-1][1].append(line)
    preamble = blocks[0][1]
    if len(blocks) == 1 or _frame_count(preamble) > 2:
        return [line for cpu, block in blocks if cpu != -1 for line in block]
    shown = [(cpu, block) for cpu, block in blocks[1:] if cpu != -1 and _frame_count(block) > 2]
    chosen = next((b for cpu, b in shown if cpu in stalled), None) or next((b for _, b in shown), None)
    return preamble + chosen if chosen else lines


def _frame_count(lines: list[Line]) -> int:
    return sum(1 for line in lines if "+0x" in line.text and not line.text.startswith("?"))


class Told(NamedTuple):
    """The trace that tells the crash: frames, their stack marks, the first one's line; the place above and its line."""

    frames: list[Frame]
    marks: list[str | None]
    line: int | None = None
    where: Where | None = None
    where_line: int | None = None


def chosen_section(body: Body, kind: str) -> Told:
    """The trace that tells the crash.

    The first trace with a reliable frame counts. Where the report came through a trap (a WARNING that panics, a
    stall's timer tick), the frames before the interrupted place are the reporter's own and are left out.
    """
    wanted = [s for s in body.sections if any(f.reliable for f in s.frames)]
    best = next((s for s in wanted if not s.aside and _telling(s, kind)), None) or next(iter(wanted), None)
    stalled = kind.endswith(("-stall", "-lockup"))
    if best is None:
        best = next((s for s in body.sections if s.frames), None)
    if best is None:
        return Told([], [])
    if kind in (
        "warning",
        "refcount",
        "bug",
        "usercopy",
        "list-corruption",
        "rcu-stall",
        "soft-lockup",
        "hard-lockup",
        "other",
    ):
        for at, where, number in best.cuts if best.fresh else ():
            entry = next((f for f in reversed(best.frames[:at]) if f.reliable), None)
            if entry is not None and _ENTRY.fullmatch(entry.symbol):
                if stalled and _EXCEPTION.fullmatch(entry.symbol):
                    continue  # a WARNING of the reporter's own
                return _told(best, at)._replace(where=where, where_line=number)
        if stalled and best.fresh:
            reported = False
            for at, frame in enumerate(best.frames):
                reported = reported or _STALL_REPORTER.fullmatch(frame.symbol) is not None
                if reported and frame.reliable and _ENTRY.fullmatch(frame.symbol):
                    later = at + 1
                    while later < len(best.frames) and _ENTRY.fullmatch(best.frames[later].symbol):
                        later += 1
                    return _told(best, later)
    return _told(best, 0)


def _told(section: TraceSection, at: int) -> Told:
    frames = section.frames[at:]
    return Told(frames, section.marks[at:], section.numbers[at] if frames else None)


_STALL_REPORTER = lazy(
    r"rcu_\w+|check_cpu_stall|print_(?:other_)?cpu_stall|_?sched_show_task|dump_cpu_task|watchdog\w*"
    r"|update_process_times|"
    r"tick_sched_\w+|nmi_cpu_backtrace|__rcu_pending"
)


def _telling(section: TraceSection, kind: str) -> bool:
    """Whether a trace of a stall shows more than the reporter and the switch that put the task aside."""
    if not kind.endswith(("-stall", "-lockup")):
        return True
    reliable = [f for f in section.frames if f.reliable]
    return len(reliable) > 2 and not any(f.symbol in ("rcu_gp_kthread", "rcu_gp_fqs_loop") for f in reliable)


def context_of(frames: Sequence[Frame], marks: Sequence[str | None], caller: str | None) -> str:
    """softirq, irq, nmi or task: where the CPU stood, by the stack marks and the softirq entry frames."""
    if not frames:
        return "unknown"
    first = marks[0]
    reliable = [(f, m) for f, m in zip(frames, marks, strict=True) if f.reliable]
    if first == "NMI":
        return "nmi"
    for frame, mark in reliable:
        if first == "IRQ" and mark != "IRQ":
            break
        if frame.symbol in _SOFTIRQ:
            return "softirq"
        if frame.symbol in _HARDIRQ:
            return "irq"
    if first == "IRQ":
        return "irq"
    if caller and caller.startswith("C"):
        return "softirq" if any(m == "IRQ" for _, m in reliable) else "irq"
    return "task"
