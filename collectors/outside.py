"""The one event of a dump whose log tells of no crash: a hang dumped from outside, an NMI, `virsh dump`.

Its stack is read out of memory: symbols from kallsyms, frames from the stack of the CPU that matters.
"""

from __future__ import annotations

from kbmatch.collectors.dump import Dump
from kbmatch.collectors.memory.stacks import CpuStack
from kbmatch.engine.signature import Signature

MESSAGE = "dump taken from outside"
# Where an idle CPU stands; any other CPU is more interesting.
_IDLE = frozenset({"do_idle", "cpu_idle", "cpu_startup_entry", "play_dead_common", "native_play_dead", "stop_this_cpu"})
# CPUs that are looked at; the first busy one is found long before.
_MAX_CPUS = 512
_REGISTERS = (
    "rip", "rsp", "eflags", "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "r8", "r9", "r10", "r11", "r12", "r13",
    "r14", "r15", "cr0", "cr2", "cr3", "cr4", "pc", "sp", "pstate", *(f"x{n}" for n in range(31)),
)  # fmt: skip


def outside_event(dump: Dump) -> Signature:
    """One event of kind other, with the registers and the call trace of the CPU that matters, as far as known.

    That is the CPU that panicked, else the first one that is busy in the kernel, else the first. Never raises.
    """
    chosen = _chosen(dump)
    if chosen is None:
        return Signature(kind="other", message=MESSAGE, fatal=True)
    cpu = chosen.registers
    at = chosen.frames[0] if chosen.frames and chosen.frames[0].reliable else None
    return Signature(
        kind="other",
        message=MESSAGE,
        fatal=True,
        cpu=cpu.cpu,
        # QEMU writes the CPU number + 1 there, which is no pid; only kdump's VMCOREINFO has a CRASHTIME.
        pid=cpu.pid if "CRASHTIME" in dump.vmcoreinfo.values and cpu.pid is not None and cpu.pid >= 0 else None,
        symbol=at.symbol if at else None,
        printed=at.printed if at else None,
        offset=at.offset if at else None,
        size=at.size if at else None,
        module=at.module if at else None,
        registers={name: cpu.registers[name] for name in _REGISTERS if name in cpu.registers},
        trace=chosen.frames[1:] if at else chosen.frames,
    )


def _chosen(dump: Dump) -> CpuStack | None:
    panic_cpu = dump.facts().panic_cpu
    first = busy = None
    for number, stack in enumerate(dump.stacks()):
        if stack.registers.cpu == panic_cpu:
            return stack
        if busy is None and stack.in_kernel and not any(f.symbol in _IDLE for f in stack.frames):
            busy = stack
        first = first or stack
        if number >= _MAX_CPUS or (busy is not None and panic_cpu is None):
            break
    return busy or first
