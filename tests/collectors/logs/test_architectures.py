"""Oops layouts of every architecture and age that we read."""

from __future__ import annotations

import pytest

from corpus import arch_logs
from kbmatch.collectors.logs.console import read_log
from kbmatch.engine.culprit import assign_culprits
from kbmatch.kb.store.frames import load_helper_frames

# name: (arch, release, kind, cpu, pid, comm, symbol, offset, address, access, a register and its value, first caller)
EXPECTED = {
    "X86_OLD": (
        *("x86_64", "2.6.32-431.el6.x86_64", "page-fault", 3, 2711, "lab reader", "lab_read", 0x4C),
        *(0xFFFFC90000A51008, "write", "rip", 0xFFFFFFFFA0123ABC, "vfs_read"),
    ),
    "I386": (
        *("i386", "4.9.0-11-686", "null-deref", 1, 77, "labd", "lab_poll", 0x12),
        *(0x14, "read", "ebx", 0xF5BD0000, "do_sys_poll"),
    ),
    "ARM64": (
        *("aarch64", "6.1.0-13-arm64", "null-deref", 2, 901, "lab-writer", "lab_write", 0x24),
        *(8, "write", "x1", 7, "lab_ioctl"),
    ),
    "ARM": (
        *("arm", "4.4.50-v7+", "page-fault", 0, 311, "lab", "lab_write", 0x1C),
        *(0x6B6B6B73, "write", "r4", 0x6B6B6B6B, "vfs_write"),
    ),
    "PPC64LE": (
        *("ppc64le", "5.14.0-70.13.1.el9_0.ppc64le", "null-deref", 17, 4711, "lab", "lab_peek", 0x3C),
        *(0x10, "read", "nip", 0xC008000001230ABC, "vfs_read"),
    ),
    "S390X": (
        *("s390x", "5.14.0-284.11.1.el9_2.s390x", "null-deref", 5, 600, "lab", "lab_peek", 0x1E),
        *(0, "write", "r15", 0x380001BBD40, "lab_peek"),
    ),
    "RISCV64": (
        *("riscv64", "6.1.15", "null-deref", 1, 210, "lab", "lab_peek", 0xE),
        *(0x20, "read", "s1", 0xFFFFFFD802A1C300, "vfs_read"),
    ),
}


@pytest.mark.parametrize("stamped", [False, True])
@pytest.mark.parametrize("name", EXPECTED)
def test_layout(name: str, stamped: bool) -> None:
    arch, release, kind, cpu, pid, comm, symbol, offset, address, access, register, value, caller = EXPECTED[name]
    text = getattr(arch_logs, name)
    if stamped:
        text = "".join(f"[   12.{i:06d}] {line}\n" for i, line in enumerate(text.split("\n")))
    reading = read_log(text.encode())
    (event,) = assign_culprits(reading.events, load_helper_frames())
    assert (reading.kernel.arch, reading.kernel.release) == (arch, release)
    assert (event.kind, event.fatal) == (kind, True)
    assert (event.cpu, event.pid, event.comm) == (cpu, pid, comm)
    assert (event.symbol, event.offset, event.module) == (symbol, offset, "lab_core")
    assert (event.address, event.access) == (address, access)
    assert event.registers[register] == value
    assert next(f.symbol for f in event.trace if f.reliable) == caller
    assert event.culprit is not None
    assert (event.culprit.symbol, event.culprit.module) == (symbol, "lab_core")
    assert event.context == "task"


@pytest.mark.parametrize("name", ["X86_OLD", "I386", "ARM64"])
def test_instruction_explains_the_address(name: str) -> None:
    (event,) = read_log(getattr(arch_logs, name).encode()).events
    assert event.instruction is not None
    assert event.instruction.explains_address is True


def test_hardware_of_a_2_6_32_pid_line() -> None:
    reading = read_log(arch_logs.X86_OLD.encode())
    assert reading.machine.hardware == "VMware, Inc. VMware Virtual Platform/440BX Desktop"
    assert reading.machine.hypervisor == "vmware"
    assert reading.kernel.version == "#1"


def test_arm64_kaslr_offset() -> None:
    assert read_log(arch_logs.ARM64.encode()).kernel.kaslr_offset == 0x2C5A10000000
