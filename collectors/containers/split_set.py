"""Split sets: a kdump-compressed dump in several files (makedumpfile --split), read as one.

Source: makedumpfile's IMPLEMENTATION and diskdump_mod.h: every piece has both headers and the whole bitmap,
`split` set, and the pages from start_pfn up to end_pfn; descriptors count from start_pfn.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from kbmatch.collectors.containers.container import CpuRegisters, ElfNote
from kbmatch.collectors.containers.kdump_compressed import SIGNATURE, KdumpCompressed, KdumpHeader, parse_header
from kbmatch.collectors.containers.physical_map import LEFT_OUT
from kbmatch.collectors.containers.source import FileSource
from kbmatch.engine.errors import InputError, NotInDump

# A crash folder holds a handful of files; a download folder may hold thousands.
MAX_NEIGHBOURS = 4096
MAX_PIECES = 256


class SplitSet:
    """All pieces there are, as one container. Satisfies Container. Missing pieces are a problem line."""

    def __init__(self, pieces: Sequence[KdumpCompressed]) -> None:
        self.pieces = sorted(pieces, key=lambda piece: piece.first_pfn)
        first = self.pieces[0]
        self.format = first.format
        self.machine = first.machine
        self.page_size = first.page_size
        self.size = sum(piece.size for piece in self.pieces)
        self.cpus = first.cpus
        self.phys_base = first.phys_base
        with_info = next((p for p in self.pieces if p.vmcoreinfo), first)
        with_notes = next((p for p in self.pieces if p.notes), first)
        self.vmcoreinfo: bytes | None = with_info.vmcoreinfo
        self.notes: list[ElfNote] = with_notes.notes
        self.registers: list[CpuRegisters] = with_notes.registers
        self._problems: list[str] = []
        # makedumpfile writes pieces without pages for small dumps, with a cut bitmap that nobody needs.
        for piece in (p for p in self.pieces if p.first_pfn < p.last_pfn):
            self._problems += [problem for problem in piece.problems if problem not in self._problems]
        position = 0
        for piece in self.pieces:
            if piece.first_pfn > position:
                self._missing(position, piece.first_pfn)
            position = max(position, piece.last_pfn)
        if position < first.max_mapnr:
            self._missing(position, first.max_mapnr)

    def _missing(self, start: int, end: int) -> None:
        size = self.page_size
        self._problems.append(
            f"split set: the piece with physical memory 0x{start * size:x} to 0x{end * size:x} is missing;"
            " put all pieces into one folder or name them all"
        )

    @property
    def problems(self) -> list[str]:
        """Lines about damage; reading may find more in a piece."""
        found = list(self._problems)
        for piece in self.pieces:
            if piece.first_pfn < piece.last_pfn:
                found += [problem for problem in piece.problems if problem not in found]
        return found

    def read_physical(self, address: int, length: int) -> bytes:
        """Exactly `length` bytes of physical memory. Raises NotInDump."""
        parts: list[bytes] = []
        while length > 0:
            pfn = address // self.page_size
            piece = next((p for p in self.pieces if p.first_pfn <= pfn < p.last_pfn), None)
            if piece is None:
                raise NotInDump(address, f"{LEFT_OUT}: its piece of the split set is missing")
            together = min(length, piece.last_pfn * self.page_size - address)
            parts.append(piece.read_physical(address, together))
            address += together
            length -= together
        return b"".join(parts)

    def physical_ranges(self, start: int = 0, end: int = 1 << 64) -> Iterator[tuple[int, int]]:
        """Ranges of dumped pages."""
        for piece in self.pieces:
            yield from piece.physical_ranges(start, end)

    def table_address(self, address: int) -> int:
        """The same: page tables hold guest-physical addresses."""
        return address

    def close(self) -> None:
        """Close all pieces."""
        for piece in self.pieces:
            piece.close()


def find_siblings(path: str | Path, header: KdumpHeader) -> list[Path]:
    """Files beside `path` that are other pieces of the same dump: same headers, another range of pages."""
    found: list[Path] = []
    path = Path(path)
    try:
        with os.scandir(path.parent) as entries:
            for number, entry in enumerate(entries):
                if number >= MAX_NEIGHBOURS or len(found) >= MAX_PIECES:
                    break
                if entry.name == path.name or not entry.is_file():
                    continue
                other = _header(entry.path)
                if other is not None and same_dump(header, other) and other.start_pfn != header.start_pfn:
                    found.append(Path(entry.path))
    except OSError:
        return found
    return sorted(found)


def same_dump(one: KdumpHeader, other: KdumpHeader) -> bool:
    """Whether two headers are those of pieces of one dump."""
    return other.split and (
        (one.version, one.release, one.machine, one.nodename, one.timestamp, one.block_size, one.max_mapnr)
        == (
            other.version,
            other.release,
            other.machine,
            other.nodename,
            other.timestamp,
            other.block_size,
            other.max_mapnr,
        )
        and (one.bitmap_blocks, one.phys_base, one.dump_level)
        == (other.bitmap_blocks, other.phys_base, other.dump_level)
    )


def _header(path: str) -> KdumpHeader | None:
    try:
        source = FileSource(path)
    except InputError:
        return None
    try:
        return parse_header(source) if source.read(0, 8) == SIGNATURE else None
    except InputError:
        return None
    finally:
        source.close()
