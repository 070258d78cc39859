"""ELF vmcores: kdump's /proc/vmcore, makedumpfile -E, QEMU's dump-guest-memory.

Sources: fs/proc/vmcore.c and include/uapi/linux/elf.h; QEMU's dump/dump.c. Parsed with `struct`: QEMU writes
e_ehsize 8, section headers before program headers, unaligned LOAD offsets, and more than 65534 segments by
PN_XNUM, on which general ELF libraries stumble (docs/adr/0001-reading-dumps.md).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from kbmatch.collectors.containers.container import CpuRegisters, ElfNote
from kbmatch.collectors.containers.notes import (
    NT_AUXV,
    NT_PRPSINFO,
    cpu_registers,
    iterate_notes,
    vmcoreinfo_of,
)
from kbmatch.collectors.containers.physical_map import LEFT_OUT, PhysicalMap
from kbmatch.collectors.containers.source import ByteSource
from kbmatch.engine.errors import DamagedDump, NotInDump, UnsupportedFormat

ELF_HEADER = 64
MACHINES = {62: "x86_64", 183: "aarch64"}
OTHER_MACHINES = {
    3: "i386",
    8: "mips",
    20: "ppc",
    21: "ppc64",
    22: "s390x",
    40: "arm",
    243: "riscv64",
    258: "loongarch64",
}

_PT_LOAD, _PT_NOTE = 1, 4
_PN_XNUM = 0xFFFF
# A LOAD a physical range: QEMU and makedumpfile write thousands, not millions (56 bytes each).
MAX_SEGMENTS = 1 << 19
MAX_NOTE_BYTES = 32 << 20
_START_KERNEL_MAP = 0xFFFFFFFF80000000


def elf_machine(header: bytes, name: str) -> str:
    """The architecture in an ELF header. Raises UnsupportedFormat for what has no reader here."""
    if len(header) < ELF_HEADER:
        raise DamagedDump(f"{name}: the ELF header is cut at byte {len(header)} of {ELF_HEADER}")
    (number,) = struct.unpack_from("<H", header, 18)
    if header[4] != 2 or header[5] != 1 or number not in MACHINES:
        (number,) = struct.unpack_from("<H" if header[5] == 1 else ">H", header, 18)
        arch = OTHER_MACHINES.get(number, f"ELF machine {number}")
        raise UnsupportedFormat(
            f"{name}: a vmcore of {arch}; kbmatch reads x86_64 and aarch64. Extract the log on a machine"
            f" of that"
            " kind (vmcore-dmesg, crash: log) and run kbmatch on the text"
        )
    return MACHINES[number]


class ElfVmcore:
    """An ELF vmcore, opened. Satisfies Container. Raises DamagedDump if no program header can be read."""

    format = "elf-vmcore"
    page_size = 4096

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self.size = source.size
        self.problems: list[str] = []
        header = source.read(0, ELF_HEADER)
        self.machine = elf_machine(header, source.name)
        segments = self._segments(header)
        runs: list[tuple[int, int, int]] = []
        images: list[tuple[int, int]] = []
        note_ranges: list[tuple[int, int]] = []
        missing = 0
        self._file_end = 0
        for p_type, _flags, offset, vaddr, paddr, filesz, memsz, _align in segments:
            if p_type == _PT_NOTE:
                note_ranges.append((offset, filesz))
            elif p_type == _PT_LOAD:
                present = max(0, min(filesz, self.size - offset))
                missing += filesz - present
                self._file_end = max(self._file_end, offset + filesz)
                if paddr == (1 << 64) - 1 or paddr + memsz >= 1 << 56 or present == 0:
                    continue
                runs.append((paddr, present, offset))
                if vaddr >= _START_KERNEL_MAP and vaddr < _START_KERNEL_MAP + (1 << 30):
                    images.append((vaddr, paddr))
        self._map = PhysicalMap(runs)
        if missing:
            self.problems.append(
                f"dump is truncated at byte {self.size} of {self._file_end}: {missing} bytes of memory are missing"
            )
        self.notes = self._read_notes(note_ranges)
        if not runs and not self.notes:
            raise DamagedDump(
                f"{source.name}: offset {self.size}: the dump ends before its first byte of memory or notes"
            )
        self._refuse_process_core()
        self.vmcoreinfo = vmcoreinfo_of(self.notes)
        self.registers: list[CpuRegisters] = cpu_registers(self.notes, self.machine)
        self.cpus = len(self.registers) or None
        # Kernels before 4.10 do not tell phys_base; the LOAD of the kernel image does.
        bases = {paddr - (vaddr - _START_KERNEL_MAP) for vaddr, paddr in images} if self.machine == "x86_64" else set()
        self.phys_base: int | None = bases.pop() if len(bases) == 1 else None

    def _segments(self, header: bytes) -> Iterator[tuple[int, ...]]:
        e_phoff, e_shoff = struct.unpack_from("<QQ", header, 32)
        e_phentsize, e_phnum = struct.unpack_from("<HH", header, 54)
        if e_phnum == _PN_XNUM:
            # elf(5): the real number is sh_info of section 0.
            section = self._source.read(e_shoff, 64)
            if len(section) == 64:
                (e_phnum,) = struct.unpack_from("<I", section, 44)
        if e_phentsize < 56 or e_phnum == 0:
            raise DamagedDump(f"{self._source.name}: offset 54: {e_phnum} program headers of {e_phentsize} bytes")
        if e_phnum > MAX_SEGMENTS:
            self.problems.append(
                f"offset 56: {e_phnum} program headers are more than any dump has; the first {MAX_SEGMENTS} are used"
            )
            e_phnum = MAX_SEGMENTS
        table = self._source.read(e_phoff, e_phentsize * e_phnum)
        whole = len(table) // e_phentsize
        if whole < e_phnum:
            self.problems.append(
                f"dump is truncated at byte {self.size}: {whole} of {e_phnum} program headers are whole"
            )
        if whole == 0:
            raise DamagedDump(f"{self._source.name}: offset {e_phoff}: the program headers are missing")
        if e_phentsize == 56:
            return struct.iter_unpack("<IIQQQQQQ", table[: whole * 56])
        return (struct.unpack_from("<IIQQQQQQ", table, n * e_phentsize) for n in range(whole))

    def _read_notes(self, ranges: list[tuple[int, int]]) -> list[ElfNote]:
        notes: list[ElfNote] = []
        budget = MAX_NOTE_BYTES
        for offset, length in ranges:
            data = self._source.read(offset, min(length, budget))
            budget -= len(data)
            if len(data) < length:
                self.problems.append(f"offset {offset}: {len(data)} of {length} bytes of notes are there")
            notes.extend(iterate_notes(data))
        return notes

    def _refuse_process_core(self) -> None:
        if any(n.name == "CORE" and n.type in (NT_PRPSINFO, NT_AUXV) for n in self.notes):
            raise UnsupportedFormat(
                f"{self._source.name}: the core of a user process, not of a kernel; use gdb or coredumpctl for it"
            )

    def read_physical(self, address: int, length: int) -> bytes:
        """Exactly `length` bytes of physical memory. Raises NotInDump."""
        pieces = [self._source.read(offset, size) for offset, size in self._map.pieces(address, length)]
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if len(data) != length:
            raise NotInDump(address, LEFT_OUT)
        return data

    def physical_ranges(self, start: int = 0, end: int = 1 << 64) -> Iterator[tuple[int, int]]:
        """Ranges of memory in the file; holes of a sparse file are left out (they hold zeros)."""
        for low, high in self._map.ranges(start, end):
            address = low
            for at, size in self._map.pieces(low, high - low):
                for begin, stop in self._source.data_extents(at):
                    if begin >= at + size:
                        break
                    yield address + begin - at, address + min(stop, at + size) - at
                address += size

    def table_address(self, address: int) -> int:
        """The same: page tables hold guest-physical addresses."""
        return address

    def close(self) -> None:
        """Close the file."""
        self._source.close()
