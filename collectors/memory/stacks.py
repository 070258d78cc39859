"""Call traces from the registers and stacks of the CPUs, for dumps whose log tells of no crash.

Without debuginfo a kernel stack is scanned: every word that points behind a call instruction in kernel text
may be a return address. Frames are sure only along a chain of frame pointers (CONFIG_FRAME_POINTER, aarch64);
all others are marked unreliable. Sources: arch/x86/kernel/unwind_guess.c, unwind_frame.c;
arch/arm64/kernel/stacktrace.c.
"""

from __future__ import annotations

import struct

from kbmatch.collectors.containers.container import CpuRegisters
from kbmatch.collectors.memory.kallsyms import Kallsyms
from kbmatch.collectors.memory.memory import Memory
from kbmatch.engine.errors import MemoryUnavailable
from kbmatch.engine.signature import Frame
from kbmatch.engine.values import dataclass

# THREAD_SIZE of x86_64 and aarch64; KASAN kernels have twice as much, whose second half is not looked at.
STACK_SIZE = 16384
MAX_FRAMES = 64
_KERNEL = 1 << 63
# Return thunks of the speculation mitigations leave their own addresses behind: no callers.
_THUNKS = frozenset({"srso_return_thunk", "srso_alias_return_thunk", "retbleed_return_thunk", "__x86_return_thunk"})


@dataclass(frozen=True, slots=True)
class CpuStack:
    """One CPU: its registers and the frames of its stack, innermost first.

    `frames[0]` is where the CPU stood if that is kernel text. `in_kernel` is False for a CPU that ran user
    code.
    """

    registers: CpuRegisters
    frames: tuple[Frame, ...]
    in_kernel: bool


def cpu_stack(memory: Memory, symbols: Kallsyms, cpu: CpuRegisters) -> CpuStack:
    """The stack of one CPU. Raises DamagedDump where the symbol table is damaged."""
    values = cpu.registers
    arm = "pc" in values
    pc = values.get("pc" if arm else "rip", 0)
    sp = values.get("sp" if arm else "rsp", 0)
    frames: list[Frame] = []
    if not pc & _KERNEL:
        return CpuStack(cpu, (), False)
    here = symbols.lookup(pc)
    if here is not None:
        frames.append(_frame(*here, reliable=True))
    if arm:
        frames += _chain(memory, symbols, values.get("x29", 0), sp, arm=True)
        return CpuStack(cpu, tuple(frames[:MAX_FRAMES]), True)
    chain = _chain(memory, symbols, values.get("rbp", 0), sp, arm=False)
    frames += chain if len(chain) >= 2 else _scan(memory, symbols, sp)
    return CpuStack(cpu, tuple(frames[:MAX_FRAMES]), True)


def _chain(memory: Memory, symbols: Kallsyms, frame: int, sp: int, *, arm: bool) -> list[Frame]:
    """Return addresses along frame pointers: (next frame, return address) pairs that ascend on one stack."""
    found: list[Frame] = []
    while len(found) < MAX_FRAMES and frame & 7 == 0 and sp <= frame < sp + STACK_SIZE:
        try:
            following, target = memory.read_u64_array(frame, 2)
        except MemoryUnavailable:
            break
        if arm:
            # Pointer authentication puts a code into the upper bits of a kernel address, which are ones.
            target |= 0xFFFF << 48
        place = symbols.lookup(target - 1)
        if place is None:
            break
        found.append(_frame(place[0], place[1] + 1, place[2], reliable=True))
        if following <= frame:
            break
        frame = following
    return found


def _scan(memory: Memory, symbols: Kallsyms, sp: int) -> list[Frame]:
    found: list[Frame] = []
    if sp & 7 or not sp & _KERNEL:
        return found
    end = (sp | STACK_SIZE - 1) + 1
    while sp < end and len(found) < MAX_FRAMES:
        step = min(4096 - sp % 4096, end - sp)
        try:
            data = memory.read(sp, step)
        except MemoryUnavailable:
            break
        for (value,) in struct.iter_unpack("<Q", data):
            if not value & _KERNEL:
                continue
            place = symbols.lookup(value - 1)
            if place is None or place[2] > 1 << 20 or place[0] in _THUNKS or not _after_call(memory, value):
                continue
            found.append(_frame(place[0], place[1] + 1, place[2], reliable=False))
        sp += step
    return found


def _after_call(memory: Memory, address: int) -> bool:
    """Whether a call instruction ends at the address; True where its bytes are not in the dump."""
    try:
        before = memory.read(address - 7, 7)
    except MemoryUnavailable:
        return True
    if before[2] == 0xE8:  # call rel32
        return True
    # call r/m64: ff /2 with 0, 1 or 4 bytes behind ModRM, perhaps a SIB byte.
    return any(before[-n] == 0xFF and before[-n + 1] >> 3 & 7 == 2 for n in (2, 3, 4, 6, 7))


def _frame(name: str, offset: int, size: int, *, reliable: bool) -> Frame:
    printed = f"{name}+0x{offset:x}/0x{size:x}"
    return Frame(plain_name(name), printed, offset, size, "", reliable)


def plain_name(name: str) -> str:
    """The name without the compiler's decorations, as DESIGN.md wants `symbol`."""
    for mark in (".isra.", ".constprop.", ".part.", ".cold", ".llvm."):
        name = name.split(mark, 1)[0] or name
    return name.removeprefix("__pfx_")
