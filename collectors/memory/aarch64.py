"""aarch64: page tables of 4, 16 and 64 KiB granules, and the kernel image's fixed mapping.

Sources: Arm ARM, D8 (VMSAv8-64 translation); Documentation/arch/arm64/memory.rst; VMCOREINFO's kimage_voffset
(physical = virtual - kimage_voffset for the image) and TCR_EL1_T1SZ (64 - bits of kernel addresses).
"""

from __future__ import annotations

from kbmatch.collectors.containers.container import Container
from kbmatch.collectors.memory.translation import TableReader
from kbmatch.engine.errors import NotInDump, NotMapped

_VALID, _TABLE = 1, 2
_MASK64 = (1 << 64) - 1
NO_ENTRY = "no page table entry leads there"


class Aarch64Translation:
    """Walks the kernel's tables at physical address `root` (swapper_pg_dir).

    `page_size` is the granule, `va_bits` the size of the kernel's half. `image` is (virtual start, end,
    kimage_voffset) of the part of the image that is surely there.
    """

    def __init__(
        self, container: Container, root: int, page_size: int, va_bits: int, image: tuple[int, int, int] | None
    ) -> None:
        self._tables = TableReader(container)
        self._root = root
        self._shift = page_size.bit_length() - 1
        self._va_bits = va_bits
        self._image = image
        self._address_mask = ((1 << 50) - 1) & ~(page_size - 1)
        self._wide = page_size == 65536

    def translate(self, address: int) -> tuple[int, int]:
        """(physical, bytes up to the end of its page). Raises NotMapped, NotInDump."""
        image = self._image
        if image is not None and image[0] <= address < image[1]:
            return (address - image[2]) & _MASK64, image[1] - address
        try:
            return self._walk(address)
        except NotInDump as error:
            raise NotInDump(address, str(error)) from error

    def _walk(self, address: int) -> tuple[int, int]:
        if address >> self._va_bits != (1 << 64 - self._va_bits) - 1:
            raise NotMapped(address, "not a kernel address")
        stride = self._shift - 3
        levels = -(-(self._va_bits - self._shift) // stride)
        table = self._root
        for level in range(4 - levels, 4):
            shift = self._shift + (3 - level) * stride
            bits = min(stride, self._va_bits - shift)
            entry = self._tables.entry(table, address >> shift & (1 << bits) - 1)
            if not entry & _VALID:
                raise NotMapped(address, NO_ENTRY)
            leaf = level == 3
            if not leaf and not entry & _TABLE:
                if shift > 39:
                    raise NotMapped(address, "a damaged page table")
                leaf = True
            elif leaf and not entry & _TABLE:
                raise NotMapped(address, NO_ENTRY)
            target = self._target(entry)
            if leaf:
                span = 1 << shift
                within = address & span - 1
                return (target & ~(span - 1)) + within, span - within
            table = target
        raise NotMapped(address, NO_ENTRY)

    def _target(self, entry: int) -> int:
        target = entry & self._address_mask
        if self._wide:
            # 52-bit physical addresses of the 64 KiB granule: bits 51..48 stand in 15..12.
            target = target & (1 << 48) - 1 | (entry >> 12 & 0xF) << 48
        return target
