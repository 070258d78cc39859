"""One x86 instruction through capstone's shared library: its Python module takes 40 ms to import, the library 4.

The library is the one that the capstone package brings (lib/libcapstone.so in it). Only what is stable for a major
version is relied on: cs_open, cs_disasm, and the head of struct cs_insn (include/capstone/capstone.h, 5.0). With any
other major version, or where the library is not found, the caller takes the module. Memory operands are read out of
the operand text ("dword ptr gs:[rbx + rcx*4 + 0x2c]"); a test compares both ways on 20,000 instructions.
"""

from __future__ import annotations

import ctypes
import os
from functools import lru_cache
from importlib.machinery import PathFinder

from kbmatch.engine.patterns import lazy
from kbmatch.engine.values import dataclass

_MAJOR = 5
_ARCH_X86, _MODE_32, _MODE_64 = 3, 1 << 2, 1 << 3
_MEMORY = lazy(r"(?:(\w\w):)?\[([^\]]*)\]")
_PART = lazy(r"([+-]?)\s*(\w+)(?:\*([1248]))?")
_BRANCHES = ("j", "call", "bnd j", "bnd call", "notrack ", "xbegin")


class _Instruction(ctypes.Structure):
    """The head of struct cs_insn; what follows is not looked at."""

    _fields_ = (
        ("id", ctypes.c_uint),
        ("address", ctypes.c_uint64),
        ("size", ctypes.c_uint16),
        ("bytes", ctypes.c_ubyte * 24),
        ("mnemonic", ctypes.c_char * 32),
        ("op_str", ctypes.c_char * 160),
    )


@dataclass(frozen=True, slots=True)
class MemoryOperand:
    """segment:[base + index * scale + displacement]; the displacement is signed, as encoded."""

    segment: str | None
    base: str | None
    index: str | None
    scale: int
    displacement: int


@dataclass(frozen=True, slots=True)
class Decoded:
    """An instruction: its name, its operands as text, and the memory operands among them."""

    mnemonic: str
    operands: str
    memory: tuple[MemoryOperand, ...]

    @property
    def is_branch(self) -> bool:
        """Whether an operand that is a plain number is the target of a jump or call."""
        return self.mnemonic.startswith(_BRANCHES)


class Library:
    """An open disassembler. `bits` is 32 or 64."""

    def __init__(self, library: ctypes.CDLL, bits: int) -> None:
        self._library = library
        self._handle = ctypes.c_size_t()
        self._bits = bits
        mode = _MODE_64 if bits == 64 else _MODE_32
        if library.cs_open(_ARCH_X86, mode, ctypes.byref(self._handle)) != 0:
            raise OSError("capstone was built without x86")

    def decode(self, raw: bytes) -> Decoded | None:
        """The first instruction of the bytes, None if they are none."""
        found = ctypes.POINTER(_Instruction)()
        count = self._library.cs_disasm(
            self._handle, raw, ctypes.c_size_t(len(raw)), ctypes.c_uint64(0), ctypes.c_size_t(1), ctypes.byref(found)
        )
        if not count:
            return None
        mnemonic, operands = found[0].mnemonic.decode("ascii", "replace"), found[0].op_str.decode("ascii", "replace")
        self._library.cs_free(found, ctypes.c_size_t(count))
        memory = tuple(_operand(segment, inside, self._bits) for segment, inside in _MEMORY.findall(operands))
        return Decoded(mnemonic, operands, memory)


def _operand(segment: str, inside: str, bits: int) -> MemoryOperand:
    base = index = None
    scale, displacement = 1, 0
    for sign, word, factor in _PART.findall(inside):
        if word[0].isdigit():
            number = int(word, 0)
            displacement = -number if sign == "-" else number
        elif factor or base is not None:
            index, scale = word, int(factor or 1)
        else:
            base = word
    if displacement >> bits - 1 > 0:  # an address alone is printed without a sign
        displacement -= 1 << bits
    return MemoryOperand(segment or None, base, index, scale, displacement)


@lru_cache(maxsize=2)
def open_library(bits: int) -> Library | None:
    """The disassembler, None where the installed capstone is none that is known here."""
    spec = PathFinder.find_spec("capstone")
    folders = list(spec.submodule_search_locations or ()) if spec is not None else []
    for folder in folders:
        try:
            library = ctypes.CDLL(os.path.join(folder, "lib", "libcapstone.so"))
            major, minor = ctypes.c_int(), ctypes.c_int()
            library.cs_version(ctypes.byref(major), ctypes.byref(minor))
            library.cs_disasm.restype = ctypes.c_size_t
            library.cs_free.restype = None
            return Library(library, bits) if major.value == _MAJOR else None
        except (OSError, AttributeError):
            continue
    return None
