"""x86_64: page tables of 4 and 5 levels, and the kernel image's fixed mapping.

Sources: Intel SDM volume 3, 4.5 (paging); Documentation/arch/x86/x86_64/mm.rst;
arch/x86/include/asm/page_64_types.h. The kernel image is mapped linearly: physical = virtual -
0xffffffff80000000 + phys_base.
"""

from __future__ import annotations

from kbmatch.collectors.containers.container import Container
from kbmatch.collectors.memory.translation import TableReader
from kbmatch.engine.errors import NotInDump, NotMapped

START_KERNEL_MAP = 0xFFFFFFFF80000000
DEFAULT_TEXT = 0xFFFFFFFF81000000
IMAGE_SPAN = 1 << 30

_PRESENT = 1
_LARGE = 1 << 7
_LARGE_PAGE = 1 << 21
# Bits 51..12; the encryption bit of AMD's SME lies inside and is cleared by `encryption_mask`.
_FRAME = 0x000FFFFFFFFFF000
NO_ENTRY = "no page table entry leads there"


class X8664Translation:
    """Walks the tables at `root` (as in cr3, or the kernel's own top table).

    `image` is (virtual start, end, phys_base) of the part of the kernel image that is surely there: addresses
    in it need no walk. Behind its end the linear rule still is the fallback where a table page was left out.
    `encryption_mask` is VMCOREINFO's sme_mask.
    """

    def __init__(
        self,
        container: Container,
        root: int | None,
        levels: int = 4,
        image: tuple[int, int, int] | None = None,
        encryption_mask: int = 0,
    ) -> None:
        self._tables = TableReader(container)
        self._root = root
        self._levels = levels
        self._frame_mask = _FRAME & ~encryption_mask
        self._image = image

    def translate(self, address: int) -> tuple[int, int]:
        """(physical, bytes up to the end of its page). Raises NotMapped, NotInDump."""
        image = self._image
        if image is not None and image[0] <= address < image[1]:
            return address - START_KERNEL_MAP + image[2], image[1] - address
        if self._root is None:
            return self._linear(address, NotInDump(address, "no page tables are known"))
        try:
            return self._walk(address)
        except NotInDump as error:
            return self._linear(address, NotInDump(address, str(error)))

    def _linear(self, address: int, otherwise: NotInDump) -> tuple[int, int]:
        if self._image is not None and START_KERNEL_MAP <= address < START_KERNEL_MAP + IMAGE_SPAN:
            physical = address - START_KERNEL_MAP + self._image[2]
            if physical >= 0:
                return physical, _LARGE_PAGE - address % _LARGE_PAGE
        raise otherwise

    def _walk(self, address: int) -> tuple[int, int]:
        table = (self._root or 0) & self._frame_mask
        bits = 12 + 9 * self._levels
        sign = address >> (bits - 1)
        if sign not in (0, (1 << (65 - bits)) - 1):
            raise NotMapped(address, "not a canonical address")
        for level in range(self._levels, 0, -1):
            shift = 3 + 9 * level
            entry = self._tables.entry(table, address >> shift & 0x1FF)
            if not entry & _PRESENT:
                raise NotMapped(address, NO_ENTRY)
            if level == 1 or (entry & _LARGE and level <= 3):
                span = 1 << shift
                within = address & span - 1
                frame = entry & self._frame_mask & ~(span - 1)
                return self._tables.frame(frame) + within, span - within
            table = entry & self._frame_mask
        raise NotMapped(address, NO_ENTRY)
