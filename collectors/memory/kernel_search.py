"""Finding an x86_64 kernel in a dump that has no VMCOREINFO note (Xen cores, QEMU without -device vmcoreinfo).

Two independent ways, which must agree: the page tables of a CPU's cr3, of which PML4[511] -> PUD[510] maps
the kernel image, first entry = _text; and the VMCOREINFO text that the kernel keeps in its own memory. Found
is what explains `init_uts_ns`. Sources: Documentation/arch/x86/x86_64/mm.rst; kernel/vmcore_info.c (a page of
its own since 4.13, which begins with the text; an array in .bss before).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

from kbmatch.collectors.containers.container import Container
from kbmatch.collectors.memory.translation import TableReader
from kbmatch.collectors.memory.vmcoreinfo import VmcoreInfo, parse_vmcoreinfo
from kbmatch.collectors.memory.x86_64 import DEFAULT_TEXT, IMAGE_SPAN, START_KERNEL_MAP, X8664Translation
from kbmatch.engine.errors import MemoryUnavailable
from kbmatch.engine.values import dataclass

_LARGE_PAGE = 1 << 21
_FRAME = 0x000FFFFFFFFFF000
_MAX_IMAGE = 256 << 20
_CHUNK = 1 << 20
_TEXT = b"OSRELEASE="
_MAX_TEXT = 1 << 16
_MAX_CANDIDATES = 64
# size_t vmcoreinfo_size and unsigned char *vmcoreinfo_data (page aligned) stand side by side in .bss, in an order
# that the linker chose: the high byte of the size with its zeros and the pointer's low byte, or the pointer's top byte
# with the size.
_SIZE_FIRST = re.compile(
    rb"[\x01-\x3f]\0{7}(?=[\0\x10\x20\x30\x40\x50\x60\x70\x80\x90\xa0\xb0\xc0\xd0\xe0\xf0][\0-\xff]{5}\xff)"
)
_POINTER_FIRST = re.compile(rb"\xff(?=[\0-\xff][\x01-\x3f]\0{6})")


@dataclass(frozen=True, slots=True)
class KernelImage:
    """Where the kernel image lies, told by one page-table root: addresses of _text, mapped bytes, the root itself."""

    text: int
    physical: int
    length: int
    root: int
    levels: int

    @property
    def kaslr_offset(self) -> int:
        """Distance from where the image was linked to run."""
        return self.text - DEFAULT_TEXT

    @property
    def phys_base(self) -> int:
        """Signed, as the kernel's own variable."""
        return self.physical - (self.text - START_KERNEL_MAP)


@dataclass(frozen=True, slots=True)
class FoundInfo:
    """A VMCOREINFO text found in memory, and the physical address where it begins."""

    address: int
    info: VmcoreInfo
    text: bytes


def images_of_cpus(container: Container) -> list[KernelImage]:
    """The image that each CPU's cr3 maps; CPUs whose tables are missing or make no sense are left out."""
    found: list[KernelImage] = []
    tables = TableReader(container)
    seen: set[tuple[int, int]] = set()
    for cpu in container.registers:
        cr3 = cpu.registers.get("cr3", 0) & _FRAME
        if not cr3:
            continue
        levels = 5 if cpu.registers.get("cr4", 0) & 1 << 12 else 4
        # With page-table isolation the user's half lies 4 KiB above the kernel's.
        for root in (cr3, cr3 & ~0x1000):
            if (root, levels) in seen:
                continue
            seen.add((root, levels))
            image = image_of_root(tables, root, levels)
            if image is not None and image not in found:
                found.append(image)
    return found


def image_of_root(tables: TableReader, root: int, levels: int) -> KernelImage | None:
    """The kernel image that the tables at `root` (a frame address as in cr3) map, None if they map none."""
    try:
        table = root
        for _ in range(levels - 3):
            table = _next(tables, table, 511)
        table = _next(tables, table, 510)
        first = next((n for n in range(512) if tables.entry(table, n) & 1), None)
        if first is None:
            return None
        text = START_KERNEL_MAP + first * _LARGE_PAGE
        # A KASLR offset is under 1 GiB; below the default text address no kernel runs.
        if not DEFAULT_TEXT <= text < DEFAULT_TEXT + IMAGE_SPAN:
            return None
        physical = _leaf(tables, tables.entry(table, first))
        last = first
        while last + 1 < 512 and tables.entry(table, last + 1) & 1 and (last - first) * _LARGE_PAGE < _MAX_IMAGE:
            last += 1
    except (MemoryUnavailable, ValueError):
        return None
    return KernelImage(text, physical, (last - first + 1) * _LARGE_PAGE, root, levels)


def _next(tables: TableReader, table: int, index: int) -> int:
    entry = tables.entry(table, index)
    if not entry & 1 or entry & 0x80:
        raise ValueError
    return entry & _FRAME


def _leaf(tables: TableReader, entry: int) -> int:
    """The guest-physical address of a 2 MiB range mapped by a large page, or by 4 KiB pages (Xen PV)."""
    if entry & 0x80:
        return tables.frame(entry & _FRAME & ~(_LARGE_PAGE - 1))
    for index in range(512):
        page = tables.entry(entry & _FRAME, index)
        if page & 1:
            return tables.frame(page & _FRAME) - index * 4096
    raise ValueError


def search_image(container: Container, image: KernelImage) -> Iterator[FoundInfo]:
    """VMCOREINFO texts in the image (before 4.13), or where a pointer in it leads (since then).

    Goes from the end of the image, where .bss lies, to its beginning.
    """
    walk = X8664Translation(container, image.root, image.levels)
    tried: set[int] = set()
    budget = _Budget()
    end = image.physical + image.length
    while end > image.physical:
        start = max(image.physical, end - _CHUNK)
        for address, data in _memory(container, start, end):
            for pointer in _pointers(data):
                if pointer in tried or len(tried) >= 4096:
                    continue
                tried.add(pointer)
                try:
                    physical = walk.translate(pointer)[0]
                    if container.read_physical(physical, len(_TEXT)) != _TEXT:
                        continue
                except MemoryUnavailable:
                    continue
                found = _candidate(container, physical)
                if found is not None:
                    yield found
            yield from _texts(container, address, data, budget)
        end = start


def _pointers(data: bytes) -> Iterator[int]:
    for match in _SIZE_FIRST.finditer(data):
        if match.start() % 8 == 1:
            yield int.from_bytes(data[match.start() + 7 : match.start() + 15], "little")
    for match in _POINTER_FIRST.finditer(data):
        at = match.start() - 7
        if at >= 0 and at % 8 == 0 and data[at] == 0 and data[at + 1] & 0xF == 0:
            yield int.from_bytes(data[at : at + 8], "little")


def search_memory(container: Container) -> Iterator[FoundInfo]:
    """VMCOREINFO texts anywhere in the first 8 GiB of memory that was dumped: reads everything, the last resort."""
    budget = _Budget()
    for start, end in container.physical_ranges():
        for address, data in _chunks(container, start, end):
            yield from _texts(container, address, data, budget)
            budget.bytes_left -= len(data)
            if budget.bytes_left < 0:
                return


class _Budget:
    """What a search may cost: a hostile dump can hold any number of texts, and more memory than its size."""

    def __init__(self) -> None:
        self.bytes_left = 8 << 30
        self.tries_left = 1024


def _texts(container: Container, address: int, data: bytes, budget: _Budget) -> Iterator[FoundInfo]:
    at = data.find(_TEXT)
    while at >= 0 and budget.tries_left > 0:
        # "OSRELEASE=%s" is the format string; every release begins with its number.
        if data[at + len(_TEXT) : at + len(_TEXT) + 1].isdigit():
            budget.tries_left -= 1
            found = _candidate(container, address + at)
            if found is not None:
                yield found
        at = data.find(_TEXT, at + 1)


def _candidate(container: Container, address: int) -> FoundInfo | None:
    """The text at a physical address, None if it is no whole VMCOREINFO (the format string, a torn page)."""
    text = b""
    while len(text) < _MAX_TEXT and b"\0" not in text:
        at = address + len(text)
        try:
            text += container.read_physical(at, 4096 - at % 4096)
        except MemoryUnavailable:
            break
    text = text.split(b"\0", 1)[0]
    info = parse_vmcoreinfo(text)
    tables = ("swapper_pg_dir", "init_top_pgt", "init_level4_pgt")
    if not info.release or "%" in info.release or "PAGESIZE" not in info.values or "_stext" not in info.symbols:
        return None
    return FoundInfo(address, info, text) if any(name in info.symbols for name in tables) else None


def _memory(container: Container, start: int, end: int) -> Iterator[tuple[int, bytes]]:
    """(physical address, bytes) of what is there between two addresses."""
    for low, high in container.physical_ranges(start, end):
        yield from _chunks(container, low, high)


def _chunks(container: Container, low: int, high: int) -> Iterator[tuple[int, bytes]]:
    """A range that is there, in chunks that overlap by a word's length; damaged pages are left out."""
    for position in range(low, high, _CHUNK):
        size = min(_CHUNK, high - position)
        try:
            yield position, container.read_physical(position, min(size + 16, high - position))
        except MemoryUnavailable:
            for page in range(position, position + size, 4096):
                try:
                    yield page, container.read_physical(page, min(4096, high - page))
                except MemoryUnavailable:
                    continue


def find_in_images(container: Container, images: list[KernelImage]) -> Iterator[FoundInfo]:
    """Candidates found through the images, at most 64."""
    for image in images:
        yield from islice(search_image(container, image), _MAX_CANDIDATES)


def find_in_memory(container: Container) -> Iterator[FoundInfo]:
    """Candidates found by reading all of memory, at most 64."""
    yield from islice(search_memory(container), _MAX_CANDIDATES)
