"""The registers of a fault as they lie on the kernel stack: struct pt_regs, found by the registers that the log shows.

The log has no raw instruction pointer ("RIP: 0010:f+0x2bb/0xb30 [m]"); the stack has, and so tells where a module
lies. Source: arch/x86/include/asm/ptrace.h; the CPU aligns the stack to 16 bytes before it pushes SS, RSP, RFLAGS,
CS and RIP (Intel SDM volume 3, 6.14.2).
"""

from __future__ import annotations

import struct

from kbmatch.collectors.memory.memory import Memory
from kbmatch.engine.errors import MemoryUnavailable
from kbmatch.engine.signature import Signature
from kbmatch.engine.values import dataclass

_ORDER = ("r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx", "rdx", "rsi", "rdi")
_BYTES = 21 * 8
_SEARCHED = 16384
_MIN_AGREEING = 10


@dataclass(frozen=True, slots=True)
class ExceptionFrame:
    """A struct pt_regs at `address`; `rip` is raw."""

    address: int
    rip: int


def find_exception_frame(memory: Memory, event: Signature) -> ExceptionFrame | None:
    """The pt_regs of the event, None where the log shows too few registers or the stack is not in the dump."""
    wanted = [event.registers.get(name) for name in _ORDER]
    stack = event.registers.get("rsp")
    if stack is None or sum(value is not None for value in wanted) < _MIN_AGREEING:
        return None
    # right below the interrupted stack pointer, unless the fault switched stacks
    first = (stack & ~15) - _BYTES
    start = first & ~(_SEARCHED - 1)
    for base in (first, *range(first - 8, start, -8)):
        try:
            words = struct.unpack("<21Q", memory.read(base, _BYTES))
        except MemoryUnavailable:
            return None
        if words[19] != stack or words[16] >> 63 == 0:
            continue
        if all(value is None or value == word for value, word in zip(wanted, words, strict=False)):
            return ExceptionFrame(base, words[16])
    return None
