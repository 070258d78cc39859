"""kdump-compressed files (makedumpfile, QEMU's kdump-zlib): header, page bitmap, page descriptors.

Sources: makedumpfile's diskdump_mod.h (`struct disk_dump_header`, `struct kdump_sub_header`, `page_desc_t`,
64-bit layout) and IMPLEMENTATION; crash's diskdump.h; QEMU's include/sysemu/dump.h. Header version 3 added
vmcoreinfo, 4 notes, 5 eraseinfo, 6 the 64-bit page frame numbers. QEMU fills max_mapnr in the sub header only
and leaves utsname empty.
"""

from __future__ import annotations

import struct
from collections import OrderedDict
from collections.abc import Iterator

from kbmatch.collectors.containers.bitmap import PageBitmap
from kbmatch.collectors.containers.container import CpuRegisters, ElfNote
from kbmatch.collectors.containers.notes import cpu_registers, iterate_notes, vmcoreinfo_of
from kbmatch.collectors.containers.page_codecs import DamagedPageError, decompress_page
from kbmatch.collectors.containers.physical_map import LEFT_OUT
from kbmatch.collectors.containers.source import ByteSource
from kbmatch.engine.errors import DamagedDump, NotInDump, UnsupportedFormat
from kbmatch.engine.values import dataclass

SIGNATURE = b"KDUMP   "
PAGE_SIZES = (4096, 16384, 65536)
STATUS_INCOMPLETE = 0x8
DESCRIPTOR = struct.Struct("<qIIQ")
MAX_VMCOREINFO = 1 << 20
MAX_NOTE_BYTES = 32 << 20
_CACHE_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class KdumpHeader:
    """The fields of both headers that a reader needs; page frame numbers and file offsets, in bytes."""

    version: int
    release: str
    machine: str
    nodename: str
    timestamp: bytes
    status: int
    block_size: int
    sub_header_blocks: int
    bitmap_blocks: int
    max_mapnr: int
    cpus: int
    phys_base: int
    dump_level: int
    split: bool
    start_pfn: int
    end_pfn: int
    vmcoreinfo: tuple[int, int]
    notes: tuple[int, int]


def parse_header(source: ByteSource) -> KdumpHeader:
    """Both headers. Raises DamagedDump, or UnsupportedFormat for the layout of 32-bit kernels."""
    name = source.name
    head = source.read(0, 464)
    if len(head) < 460 or head[:8] != SIGNATURE:
        raise DamagedDump(f"{name}: the kdump header is cut at byte {len(head)}")
    (version,) = struct.unpack_from("<i", head, 8)
    status, block_size, sub_blocks, bitmap_blocks, max_mapnr = struct.unpack_from("<IiiII", head, 424)
    (cpus,) = struct.unpack_from("<i", head, 460)
    if block_size not in PAGE_SIZES:
        (narrow,) = struct.unpack_from("<i", head, 416)
        if narrow in PAGE_SIZES:
            raise UnsupportedFormat(
                f"{name}: a kdump of a 32-bit kernel; kbmatch reads x86_64 and aarch64. Extract the log with"
                " makedumpfile --dump-dmesg and run kbmatch on the text"
            )
        raise DamagedDump(f"{name}: offset 428: a page size of {block_size} bytes is none of {PAGE_SIZES}")
    if not 0 < sub_blocks <= 1024 or version < 1:
        raise DamagedDump(f"{name}: offset 432: version {version}, {sub_blocks} blocks of sub header make no sense")
    sub = source.read(block_size, 104).ljust(104, b"\0")
    phys_base, dump_level, split, start_pfn, end_pfn = struct.unpack_from("<QiiQQ", sub)
    vmcoreinfo = struct.unpack_from("<QQ", sub, 32) if version >= 3 else (0, 0)
    notes = struct.unpack_from("<QQ", sub, 48) if version >= 4 else (0, 0)
    if version >= 6:
        start_pfn, end_pfn, max_mapnr = struct.unpack_from("<QQQ", sub, 80)
    return KdumpHeader(
        version=version,
        release=_text(head, 12 + 2 * 65),
        machine=_text(head, 12 + 4 * 65),
        nodename=_text(head, 12 + 65),
        timestamp=head[408:424],
        status=status,
        block_size=block_size,
        sub_header_blocks=sub_blocks,
        bitmap_blocks=bitmap_blocks,
        max_mapnr=max_mapnr,
        cpus=cpus,
        phys_base=phys_base - (1 << 64) if phys_base >> 63 else phys_base,
        dump_level=dump_level,
        split=split > 0 and version >= 2,
        start_pfn=start_pfn,
        end_pfn=end_pfn,
        vmcoreinfo=vmcoreinfo,
        notes=notes,
    )


def _text(data: bytes, offset: int) -> str:
    return data[offset : offset + 65].split(b"\0", 1)[0].decode("utf-8", "replace")


class KdumpCompressed:
    """A kdump-compressed file, or one piece of a split set. Satisfies Container.

    Only the pages that are asked for are read and decompressed; 4 MiB of them are kept.
    """

    format = "kdump-compressed"

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self.size = source.size
        self.problems: list[str] = []
        self.header = header = parse_header(source)
        self.page_size = header.block_size
        self.vmcoreinfo: bytes | None = None
        offset, length = header.vmcoreinfo
        if 0 < length <= MAX_VMCOREINFO:
            text = source.read(offset, length).rstrip(b"\0")
            self.vmcoreinfo = text or None
            if len(text) < length and offset + length > self.size:
                self.problems.append(f"offset {offset}: vmcoreinfo is cut")
        self.notes: list[ElfNote] = []
        offset, length = header.notes
        if length:
            data = source.read(offset, min(length, MAX_NOTE_BYTES))
            self.notes = list(iterate_notes(data))
            if len(data) < length:
                self.problems.append(f"offset {offset}: {len(data)} of {length} bytes of notes are there")
        self.vmcoreinfo = self.vmcoreinfo or vmcoreinfo_of(self.notes)
        self.machine = self._machine()
        self.registers: list[CpuRegisters] = cpu_registers(self.notes, self.machine)
        self.cpus = header.cpus if 0 < header.cpus <= 8192 else len(self.registers) or None
        # makedumpfile copies it from the kernel; QEMU leaves 0, which also is a legal value: VMCOREINFO goes
        # first.
        self.phys_base: int | None = header.phys_base if self.machine == "x86_64" else None
        self._lay_out()
        self._cache: OrderedDict[int, bytes] = OrderedDict()
        self._cache_pages = _CACHE_BYTES // self.page_size
        if header.status & STATUS_INCOMPLETE:
            self.problems.append("the dump says that it is incomplete: makedumpfile ran out of space while writing it")

    def _lay_out(self) -> None:
        header, size = self.header, self.page_size
        bitmap = (1 + header.sub_header_blocks) * size
        bitmap_bytes = header.bitmap_blocks * size
        if bitmap + bitmap_bytes > self.size:
            self.problems.append(f"dump is truncated at byte {self.size}: the page bitmap is cut")
        # Two bitmaps of the same size (valid, dumped) follow each other; a diskdump of old has one.
        if header.max_mapnr <= bitmap_bytes * 4:
            self._bitmap = PageBitmap(self._source, bitmap + bitmap_bytes // 2, bitmap_bytes // 2)
        else:
            self._bitmap = PageBitmap(self._source, bitmap, bitmap_bytes)
        self._descriptors = bitmap + bitmap_bytes
        self.max_mapnr = min(header.max_mapnr, bitmap_bytes * 8)
        self.first_pfn, self.last_pfn = 0, self.max_mapnr
        self._rank_base = 0
        if header.split:
            self.first_pfn, self.last_pfn = header.start_pfn, min(header.end_pfn, self.max_mapnr)
            self._rank_base = self._bitmap.rank(self.first_pfn)

    def _machine(self) -> str:
        named = self.header.machine
        if named in ("x86_64", "aarch64"):
            return named
        if named and named != "Unknown":  # QEMU for arm64
            raise UnsupportedFormat(
                f"{self._source.name}: a kdump of {named!r}; kbmatch reads x86_64 and aarch64. Extract"
                f" the log with"
                " makedumpfile --dump-dmesg on a machine of that kind and run kbmatch on the text"
            )
        # QEMU leaves utsname empty: arm64's vmcoreinfo has names of its own, and its prstatus is longer.
        if self.vmcoreinfo and b"kimage_voffset" in self.vmcoreinfo:
            return "aarch64"
        if any(n.name == "CORE" and n.type == 1 and len(n.desc) == 392 for n in self.notes):
            return "aarch64"
        return "x86_64"

    def read_physical(self, address: int, length: int) -> bytes:
        """Exactly `length` bytes of physical memory. Raises NotInDump."""
        size = self.page_size
        if address < 0 or length < 0:
            raise NotInDump(address, LEFT_OUT)
        pfn, within = divmod(address, size)
        if within + length <= size:
            return self._page(pfn)[within : within + length]
        if length > self.max_mapnr * size:
            raise NotInDump(address, LEFT_OUT)
        parts = [self._page(pfn)[within:]]
        left = length - len(parts[0])
        while left > 0:
            pfn += 1
            part = self._page(pfn)[:left]
            parts.append(part)
            left -= len(part)
        return b"".join(parts)

    def _page(self, pfn: int) -> bytes:
        page = self._cache.get(pfn)
        if page is not None:
            self._cache.move_to_end(pfn)
            return page
        address = pfn * self.page_size
        if not self.first_pfn <= pfn < self.last_pfn or not self._bitmap.is_set(pfn):
            raise NotInDump(address, LEFT_OUT)
        at = self._descriptors + DESCRIPTOR.size * (self._bitmap.rank(pfn) - self._rank_base)
        descriptor = self._source.read(at, DESCRIPTOR.size)
        if len(descriptor) < DESCRIPTOR.size:
            self._tell_cut()
            raise NotInDump(address, f"{LEFT_OUT}: the file ends at byte {self.size}")
        offset, size, flags, _ = DESCRIPTOR.unpack(descriptor)
        if offset == 0 or size == 0:
            raise NotInDump(address, LEFT_OUT)
        if size > self.page_size or offset < self._descriptors:
            raise NotInDump(address, f"the page's descriptor at byte {at} is damaged")
        data = self._source.read(offset, size)
        if len(data) < size:
            self._tell_cut()
            raise NotInDump(address, f"{LEFT_OUT}: the file ends at byte {self.size}")
        try:
            page = decompress_page(data, flags, self.page_size)
        except DamagedPageError as error:
            raise NotInDump(address, f"the page at byte {offset} is damaged: {error}") from error
        self._cache[pfn] = page
        if len(self._cache) > self._cache_pages:
            self._cache.popitem(last=False)
        return page

    def _tell_cut(self) -> None:
        """Where the file should end only its last descriptor knows: a page that is missing tells that it is cut."""
        line = f"dump is truncated at byte {self.size}: pages that were dumped lie behind it"
        if not any("truncated" in problem for problem in self.problems):
            self.problems.append(line)

    def physical_ranges(self, start: int = 0, end: int = 1 << 64) -> Iterator[tuple[int, int]]:
        """Ranges of dumped pages, found by reading the bitmap between two addresses: for searches only."""
        low, high = start // self.page_size, -(-end // self.page_size)
        for first, last in self._bitmap.runs(max(low, self.first_pfn), min(high, self.last_pfn)):
            yield first * self.page_size, last * self.page_size

    def table_address(self, address: int) -> int:
        """The same: page tables hold guest-physical addresses."""
        return address

    def close(self) -> None:
        """Close the file."""
        self._source.close()
