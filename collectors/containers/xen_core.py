"""Xen dump-core (`xl dump-core`, `xm dump-core`): PV, HVM and PVH guests.

Sources: Xen's docs/misc/dump-core-format.txt, tools/libs/ctrl/xc_core.c, xen/include/public/arch-x86/xen.h
(`struct vcpu_guest_context`). ELF without program headers; `.xen_pfn` (u64 pfn) or `.xen_p2m` (u64 pfn, u64
machine frame) names the pages of `.xen_pages` in order. Page tables of PV guests hold machine frames.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from kbmatch.collectors.containers.container import CpuRegisters, ElfNote
from kbmatch.collectors.containers.elf_vmcore import elf_machine
from kbmatch.collectors.containers.frame_index import FrameIndex
from kbmatch.collectors.containers.notes import iterate_notes
from kbmatch.collectors.containers.physical_map import LEFT_OUT
from kbmatch.collectors.containers.source import ByteSource
from kbmatch.engine.errors import DamagedDump, NotInDump

NOTE_HEADER = 0x2000001
MAGIC_PV, MAGIC_HVM = 0xF00FEBED, 0xF00FEBEE
CONTEXT_SIZE = 0x1430
_REGISTERS: tuple[str, ...] = (
    "r15",
    "r14",
    "r13",
    "r12",
    "rbp",
    "rbx",
    "r11",
    "r10",
    "r9",
    "r8",
    "rax",
    "rcx",
    "rdx",
    "rsi",
    "rdi",
)
_MAX_VCPUS = 8192
_MAX_SECTIONS = 256
_SHT_NOTE = 7
_VGA_FIRST, _VGA_BEHIND = 0xA0, 0xC0


class XenCore:
    """A Xen core, opened. Satisfies Container; "physical" is the guest's own (pseudo-)physical memory.

    `is_pv` tells whether page tables hold machine frames.
    """

    format = "xen-dump-core"
    page_size = 4096

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self.size = source.size
        self.problems: list[str] = []
        header = source.read(0, 64)
        self.machine = elf_machine(header, source.name)
        sections = self._sections(header)
        if ".xen_pages" not in sections:
            raise DamagedDump(f"{source.name}: a Xen core without .xen_pages; its section table is damaged")
        self._pages, self._pages_size = sections[".xen_pages"][:2]
        note_at, note_size = sections.get(".note.Xen", (0, 0, 0))[:2]
        self.notes: list[ElfNote] = list(iterate_notes(source.read(note_at, min(note_size, 1 << 20))))
        self.is_pv = ".xen_p2m" in sections
        head = next((n.desc for n in self.notes if n.type == NOTE_HEADER and len(n.desc) >= 32), None)
        count = None
        if head is not None:
            magic, vcpus, count, page_size = struct.unpack_from("<4Q", head)
            if magic in (MAGIC_PV, MAGIC_HVM):
                self.is_pv = magic == MAGIC_PV
            if page_size != self.page_size:
                raise DamagedDump(f"{source.name}: offset {note_at}: a page size of {page_size} bytes makes no sense")
            self.cpus: int | None = vcpus if 0 < vcpus <= _MAX_VCPUS else None
        else:
            self.cpus = None
        self._index = self._frames(sections, count)
        self.vmcoreinfo: bytes | None = None
        self.phys_base: int | None = None
        self.registers: list[CpuRegisters] = self._contexts(*sections.get(".xen_prstatus", (0, 0, 0)))

    def _sections(self, header: bytes) -> dict[str, tuple[int, int, int]]:
        (shoff,) = struct.unpack_from("<Q", header, 40)
        entry_size, count, names_at = struct.unpack_from("<HHH", header, 58)
        if entry_size < 64 or count > _MAX_SECTIONS:
            raise DamagedDump(f"{self._source.name}: offset 58: {count} sections of {entry_size} bytes make no sense")
        table = self._source.read(shoff, entry_size * count)
        rows = [
            struct.unpack_from("<IIQQQQIIQQ", table, n * entry_size) for n in range(len(table) // entry_size)
        ]  # name, type, flags, addr, offset, size, link, info, addralign, entsize
        names = b""
        if names_at < len(rows):
            names = self._source.read(rows[names_at][4], min(rows[names_at][5], 4096))
        found: dict[str, tuple[int, int, int]] = {}
        for row in rows:
            name = names[row[0] :].split(b"\0", 1)[0].decode("ascii", "replace") if row[0] < len(names) else ""
            found.setdefault(name or self._nameless(row), (row[4], row[5], row[9]))
        end = max((row[4] + row[5] for row in rows), default=0)
        if end > self.size:
            self.problems.append(f"dump is truncated at byte {self.size} of {end}")
        return found

    def _nameless(self, row: tuple[int, ...]) -> str:
        """The names stand last in the file and go first when it is cut: type and entry size still tell."""
        _, kind, _, _, offset, size, _, _, align, entry = row
        if kind == _SHT_NOTE:
            return ".note.Xen"
        if kind == 1 and entry in (CONTEXT_SIZE, 0x1430):
            return ".xen_prstatus"
        if kind == 1 and entry == self.page_size:
            return ".xen_shared_info" if size == self.page_size and align != self.page_size else ".xen_pages"
        if kind == 1 and entry in (8, 16):
            return ".xen_p2m" if entry == 16 else ".xen_pfn"
        return f"unknown at {offset}"

    def _frames(self, sections: dict[str, tuple[int, int, int]], count: int | None) -> FrameIndex:
        name, width = (".xen_p2m", 16) if ".xen_p2m" in sections else (".xen_pfn", 8)
        if name not in sections:
            raise DamagedDump(f"{self._source.name}: neither .xen_pfn nor .xen_p2m tells which page is which")
        offset, size, _ = sections[name]
        entries = min(size // width, self._pages_size // self.page_size)
        if count is not None:
            entries = min(entries, count)
        present = max(0, min(entries, (self.size - offset) // width))
        if 0 < present < entries:
            # The index stands behind the pages: where it is cut, its beginning is all there is.
            self.problems.append(f"the page index is cut: {present} of {entries} entries are there")
        if present == 0:
            self.problems.append("the page index is gone: the pages are taken to lie in the order that Xen writes")
            return FrameIndex(self._source, offset, width, 0, self._usual_order(entries))
        return FrameIndex(self._source, offset, width, present)

    def _usual_order(self, entries: int) -> list[tuple[int, int, int]]:
        """PV guests have all pages in order; HVM and PVH guests none from 0xa0000 to 0xbffff (VGA memory).

        Seen in cores of Xen 4.17. Whoever finds the kernel with it checks it against init_uts_ns.
        """
        if self.is_pv or entries <= _VGA_FIRST:
            return [(0, entries, 0)]
        return [(0, _VGA_FIRST, 0), (_VGA_BEHIND, entries - _VGA_FIRST, _VGA_FIRST)]

    def _contexts(self, offset: int, size: int, entry: int) -> list[CpuRegisters]:
        if self.machine != "x86_64":
            return []
        step = entry if entry >= CONTEXT_SIZE else CONTEXT_SIZE
        found: list[CpuRegisters] = []
        for cpu in range(min(size // step, _MAX_VCPUS)):
            context = self._source.read(offset + cpu * step, CONTEXT_SIZE)
            if len(context) < CONTEXT_SIZE:
                break
            registers: dict[str, int] = dict(zip(_REGISTERS, struct.unpack_from("<15Q", context, 520), strict=True))
            (registers["rip"],) = struct.unpack_from("<Q", context, 648)
            cs, registers["eflags"], registers["rsp"] = struct.unpack_from("<QQQ", context, 656)
            registers["cs"] = cs & 0xFFFF
            control = struct.unpack_from("<8Q", context, 4984)
            registers |= {"cr0": control[0], "cr2": control[2], "cr3": control[3], "cr4": control[4]}
            fs, gs_kernel, gs_user = struct.unpack_from("<QQQ", context, 5144)
            registers |= {"fs_base": fs, "kernel_gs_base": gs_kernel, "gs_base": gs_user}
            found.append(CpuRegisters(cpu, registers, None, "xen"))
        return found

    def read_physical(self, address: int, length: int) -> bytes:
        """Exactly `length` bytes of guest-physical memory. Raises NotInDump."""
        parts: list[bytes] = []
        while length > 0:
            pfn, within = divmod(address, self.page_size)
            position = self._index.position(pfn)
            if position is None:
                raise NotInDump(address, LEFT_OUT)
            step = min(length, self.page_size - within)
            data = self._source.read(self._pages + position * self.page_size + within, step)
            if len(data) < step:
                raise NotInDump(address, f"{LEFT_OUT}: the file ends at byte {self.size}")
            parts.append(data)
            address += step
            length -= step
        return b"".join(parts)

    def physical_ranges(self, start: int = 0, end: int = 1 << 64) -> Iterator[tuple[int, int]]:
        """Ranges of pages in the core, ascending."""
        for first, last in self._index.ranges():
            low, high = max(first * self.page_size, start), min(last * self.page_size, end)
            if low < high:
                yield low, high

    def table_address(self, address: int) -> int:
        """The pseudo-physical address of a machine address in a PV guest; the same for others. Raises NotInDump."""
        if not self.is_pv:
            return address
        frame, within = divmod(address, self.page_size)
        pfn = self._index.pfn_of_machine_frame(frame)
        if pfn is None:
            raise NotInDump(address, f"machine frame 0x{frame:x} is not one of this guest's")
        return pfn * self.page_size + within

    def close(self) -> None:
        """Close the file."""
        self._source.close()
