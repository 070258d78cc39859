"""The faulting instruction, from the bytes of an oops's Code: line, decoded by capstone.

x86 puts the byte at the instruction pointer in angle brackets (arch/x86/kernel/dumpstack.c, show_opcodes; older
kernels show 43 or 20 bytes before and 21 after), arm64 the 32-bit word in parentheses (arch/arm64/kernel/traps.c,
dump_kernel_instr; words, not bytes).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from kbmatch.engine.patterns import lazy
from kbmatch.engine.signature import Instruction

if TYPE_CHECKING:
    from kbmatch.collectors.instructions.capstone_library import Decoded

_MASK = (1 << 64) - 1
_X86_MARK = lazy(r"<([0-9a-f]{2})>((?: [0-9a-f]{2}){0,15})")
_NO_ACCESS = ("lea", "nop", "nopw", "nopl")
_ARM64_MARK = lazy(r"\(([0-9a-f]{8})\)")


@lru_cache(maxsize=4)
def _disassembler(arch: str) -> Any:
    import capstone

    engine: Any
    make: Any = capstone.Cs  # untyped
    if arch == "aarch64":
        engine = make(capstone.CS_ARCH_ARM64, capstone.CS_MODE_ARM)
    else:
        engine = make(capstone.CS_ARCH_X86, capstone.CS_MODE_64 if arch == "x86_64" else capstone.CS_MODE_32)
    engine.detail = True
    return engine


def faulting_bytes(code: str, arch: str) -> bytes | None:
    """The instruction's bytes in memory order, from the marked one on; None without a mark."""
    low = code.lower()
    if arch == "aarch64":
        word = _ARM64_MARK.search(low)
        return bytes.fromhex(word[1])[::-1] if word else None
    mark = _X86_MARK.search(low)
    return bytes.fromhex(mark[1] + mark[2].replace(" ", "")) if mark else None


def decode_fault(code: str, arch: str, registers: Mapping[str, int | None], address: int | None) -> Instruction | None:
    """The instruction at the mark of a Code: line, and whether its memory operand explains `address`.

    `arch` is x86_64, i386 or aarch64; None is returned for others, without a mark, or if the bytes decode to nothing.
    Never raises: the line may be damaged.
    """
    if arch not in ("x86_64", "i386", "aarch64"):
        return None
    raw = faulting_bytes(code, arch)
    if not raw:
        return None
    if arch != "aarch64":
        from kbmatch.collectors.instructions.capstone_library import open_library

        library = open_library(64 if arch == "x86_64" else 32)
        if library is not None:
            decoded = library.decode(raw)
            return None if decoded is None else _judge_x86(decoded, arch, registers, address)
    return _decode_by_module(raw, arch, registers, address)


def _decode_by_module(
    raw: bytes, arch: str, registers: Mapping[str, int | None], address: int | None
) -> Instruction | None:
    """The same by capstone's Python module, which knows all that there is to know of an operand."""
    insn = next(iter(_disassembler(arch).disasm(raw, 0, 1)), None)
    if insn is None:
        return None
    text = f"{insn.mnemonic} {_operands(insn)}".strip()
    accesses = _memory_operands(insn, arch, registers)
    return _judge(text, str(insn.mnemonic), accesses, arch, registers, address)


_Access = tuple[str | None, int, int | None]
"""Base register, displacement, effective address or None."""


def _judge_x86(
    decoded: Decoded, arch: str, registers: Mapping[str, int | None], address: int | None
) -> Instruction | None:
    operands = decoded.operands
    if _is_number(operands) and decoded.is_branch:
        operands = _relative(int(operands, 16))
    accesses = [
        _access(item.segment, item.base, item.index, item.scale, item.displacement, arch, registers)
        for item in (() if decoded.mnemonic in _NO_ACCESS else decoded.memory)
    ]
    return _judge(f"{decoded.mnemonic} {operands}".strip(), decoded.mnemonic, accesses, arch, registers, address)


def _judge(
    text: str,
    mnemonic: str,
    accesses: list[_Access],
    arch: str,
    registers: Mapping[str, int | None],
    address: int | None,
) -> Instruction:
    """The instruction with the operand that explains the address, else the first one."""
    best: Instruction | None = None
    for base, displacement, effective in accesses:
        explains = None
        if effective is not None and address is not None:
            width = 0xFFFFFFFF if arch == "i386" else _MASK
            explains = effective & width == address & width
        found = Instruction(text, base, displacement, explains)
        if explains:
            return found
        best = best or found
    return _pushed(mnemonic, text, arch, registers, address) or best or Instruction(text)


def _operands(insn: Any) -> str:
    """The operands as text; targets of jumps and calls relative to the instruction: ".-0x11"."""
    import capstone

    operands = str(insn.op_str)
    if _is_number(operands) and any(insn.group(g) for g in (capstone.CS_GRP_JUMP, capstone.CS_GRP_CALL)):
        return _relative(int(operands, 16))
    return operands


def _is_number(operands: str) -> bool:
    """Whether there is one operand, a number; a far call of 32 bits has two."""
    return operands.startswith("0x") and operands[2:].isalnum()


def _relative(target: int) -> str:
    return f".{target - (1 << 64) if target >> 63 else target:+#x}"


def _pushed(
    mnemonic: str, text: str, arch: str, registers: Mapping[str, int | None], address: int | None
) -> Instruction | None:
    """A push or call whose stack slot is the faulting address: the stack ran out."""
    name, width = {"x86_64": ("rsp", 8), "i386": ("esp", 4)}.get(arch, ("", 0))
    stack = registers.get(name)
    if stack is None or address is None or not mnemonic.startswith(("push", "call")):
        return None
    return Instruction(text, name, -width, True) if (stack - width) & _MASK == address else None


def _is_memory(kind: int) -> bool:
    import capstone

    # capstone 5 has one value, 6 made it a flag.
    return bool(kind == capstone.CS_OP_MEM or (capstone.CS_OP_MEM >= 0x80 and kind & capstone.CS_OP_MEM))


def _memory_operands(insn: Any, arch: str, registers: Mapping[str, int | None]) -> list[_Access]:
    """What each memory operand accesses, lea and prefetch left out."""
    if insn.mnemonic in _NO_ACCESS:
        return []
    found: list[_Access] = []
    for operand in insn.operands:
        if not _is_memory(operand.type):
            continue
        memory = operand.mem
        base = insn.reg_name(memory.base) if memory.base else None
        index = insn.reg_name(memory.index) if memory.index else None
        segment = insn.reg_name(memory.segment) if arch != "aarch64" and memory.segment else None
        scale = getattr(memory, "scale", 1) or 1
        found.append(_access(segment, base, index, scale, memory.disp, arch, registers))
    return found


def _access(
    segment: str | None,
    base: str | None,
    index: str | None,
    scale: int,
    displacement: int,
    arch: str,
    registers: Mapping[str, int | None],
) -> _Access:
    if arch == "x86_64" and segment in ("fs", "gs"):
        return base, displacement, None
    parts = [displacement]
    known = base != "rip"
    for name, factor in ((base, 1), (index, scale)):
        if name and name not in ("rip", "riz", "eiz", "xzr"):
            value = registers.get(name)
            known = known and value is not None
            parts.append((value or 0) * factor)
    return base, displacement, sum(parts) & _MASK if known else None
