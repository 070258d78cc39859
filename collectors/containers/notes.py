"""ELF notes of vmcores: the note list itself, NT_PRSTATUS and QEMU's CPU state.

Sources: `struct elf_prstatus` of include/linux/elfcore.h with `user_regs_struct` of
arch/x86/include/asm/user_64.h and `user_pt_regs` of arch/arm64/include/uapi/asm/ptrace.h; QEMU's
target/i386/arch_dump.c (`QEMUCPUState`, version 1).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

from kbmatch.collectors.containers.container import CpuRegisters, ElfNote

NT_PRSTATUS = 1
NT_PRPSINFO = 3
NT_AUXV = 6

# More notes than a machine can have CPUs would be a lie of the header.
MAX_NOTES = 65536

_PRSTATUS_PID = 32
_PRSTATUS_REGISTERS = 112
_X86_REGISTERS: tuple[str, ...] = (
    "r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx", "rdx", "rsi", "rdi",
    "orig_rax", "rip", "cs", "eflags", "rsp", "ss", "fs_base", "gs_base", "ds", "es", "fs", "gs",
)  # fmt: skip
_ARM_REGISTERS = (*(f"x{n}" for n in range(31)), "sp", "pc", "pstate")

_QEMU_REGISTERS: tuple[str, ...] = (
    "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rsp", "rbp",
    "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rip", "eflags",
)  # fmt: skip
_QEMU_GS_BASE = 152 + 4 * 24 + 16
_QEMU_IDT_BASE = 152 + 9 * 24 + 16
_QEMU_CONTROL = 392
_QEMU_KERNEL_GS_BASE = 432


def iterate_notes(data: bytes) -> Iterator[ElfNote]:
    """The notes in `data` (little-endian, 4-byte alignment); stops at the first one that does not fit."""
    position = 0
    for _ in range(MAX_NOTES):
        if position + 12 > len(data):
            return
        name_size, desc_size, note_type = struct.unpack_from("<III", data, position)
        name_start = position + 12
        desc_start = name_start + (name_size + 3 & ~3)
        if name_size == 0 and desc_size == 0:
            return  # padding at the end of a note segment
        if desc_start + desc_size > len(data):
            return
        name = data[name_start : name_start + name_size].rstrip(b"\0").decode("ascii", "replace")
        yield ElfNote(name, note_type, data[desc_start : desc_start + desc_size])
        position = desc_start + (desc_size + 3 & ~3)


def vmcoreinfo_of(notes: Iterable[ElfNote]) -> bytes | None:
    """The text of the VMCOREINFO note, without padding; None where there is none or it is empty."""
    for note in notes:
        if note.name == "VMCOREINFO" and note.desc.strip(b"\0"):
            return note.desc.rstrip(b"\0")
    return None


def cpu_registers(notes: Iterable[ElfNote], machine: str) -> list[CpuRegisters]:
    """One entry a CPU, in note order: NT_PRSTATUS, with control registers of QEMU's note where there is"
    " one.
    """
    prstatus = [n.desc for n in notes if n.name in ("CORE", "LINUX", "") and n.type == NT_PRSTATUS]
    qemu = [n.desc for n in notes if n.name == "QEMU"]
    names = _X86_REGISTERS if machine == "x86_64" else _ARM_REGISTERS if machine == "aarch64" else ()
    found: list[CpuRegisters] = []
    for cpu, desc in enumerate(prstatus):
        if not names or len(desc) < _PRSTATUS_REGISTERS + 8 * len(names):
            continue
        values = struct.unpack_from(f"<{len(names)}Q", desc, _PRSTATUS_REGISTERS)
        registers = dict(zip(names, values, strict=True))
        (pid,) = struct.unpack_from("<i", desc, _PRSTATUS_PID)
        state = _qemu_state(qemu[cpu]) if cpu < len(qemu) and len(qemu) == len(prstatus) else None
        if state is not None:
            registers.update(state)
        if any(registers.values()):
            found.append(CpuRegisters(cpu, registers, pid, "qemu" if state is not None else "prstatus"))
    if not found:
        for cpu, desc in enumerate(qemu):
            state = _qemu_state(desc)
            if state is not None:
                found.append(CpuRegisters(cpu, state, None, "qemu"))
    return found


def _qemu_state(desc: bytes) -> dict[str, int] | None:
    if len(desc) < 440:
        return None
    version, size = struct.unpack_from("<II", desc)
    if version != 1 or size < 432:
        return None
    registers: dict[str, int] = dict(zip(_QEMU_REGISTERS, struct.unpack_from("<18Q", desc, 8), strict=True))
    cr0, _, cr2, cr3, cr4 = struct.unpack_from("<5Q", desc, _QEMU_CONTROL)
    registers |= {"cr0": cr0, "cr2": cr2, "cr3": cr3, "cr4": cr4}
    (registers["gs_base"],) = struct.unpack_from("<Q", desc, _QEMU_GS_BASE)
    (registers["idt_base"],) = struct.unpack_from("<Q", desc, _QEMU_IDT_BASE)
    (registers["kernel_gs_base"],) = struct.unpack_from("<Q", desc, _QEMU_KERNEL_GS_BASE)
    return registers
