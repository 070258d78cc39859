"""From a container and its VMCOREINFO to the kernel's memory."""

from __future__ import annotations

from kbmatch.collectors.containers.container import Container
from kbmatch.collectors.memory.memory import Memory
from kbmatch.collectors.memory.vmcoreinfo import VmcoreInfo
from kbmatch.collectors.memory.x86_64 import DEFAULT_TEXT, IMAGE_SPAN, START_KERNEL_MAP, X8664Translation
from kbmatch.engine.errors import MemoryUnavailable

_TOP_TABLES = ("init_top_pgt", "swapper_pg_dir", "init_level4_pgt")
_UTS_FIELD = 65
_UTS_NAMES = ("sysname", "nodename", "release", "version", "machine", "domainname")


def kaslr_offset(info: VmcoreInfo) -> int | None:
    """The KASLR offset: as told, else 0 where _stext stands where it was linked; None where nothing tells."""
    told = info.kernel_offset
    if told is not None:
        return told
    text = info.symbols.get("_stext")
    if text is not None and DEFAULT_TEXT <= text < DEFAULT_TEXT + (1 << 16):
        return 0
    return None


def x86_64_memory(container: Container, info: VmcoreInfo, phys_base: int) -> Memory:
    """The memory of an x86_64 kernel whose image lies at `phys_base`."""
    image_symbols = [
        a for a in info.symbols.values() if START_KERNEL_MAP <= a < START_KERNEL_MAP + IMAGE_SPAN
    ]
    image = None
    start = info.symbols.get("_stext") or min(image_symbols, default=None)
    if start is not None and start + phys_base >= START_KERNEL_MAP:
        # The last symbol that is known marks what is surely image; the rest goes through the tables.
        image = (start & ~0xFFF, (max(image_symbols, default=start) | 0xFFF) + 1, phys_base)
    root = next((info.symbols[name] for name in _TOP_TABLES if name in info.symbols), None)
    if root is not None and START_KERNEL_MAP <= root < START_KERNEL_MAP + IMAGE_SPAN:
        root = root - START_KERNEL_MAP + phys_base
    else:
        root = None
    levels = 5 if info.numbers.get("pgtable_l5_enabled") == 1 else 4
    mask = info.numbers.get("sme_mask", 0)
    return Memory(container, X8664Translation(container, root, levels, image, mask))


def read_utsname(memory: Memory, info: VmcoreInfo) -> dict[str, str] | None:
    """`init_uts_ns.name` (struct new_utsname): sysname, nodename, release, version, machine, domainname.

    None where it cannot be read or does not begin with "Linux": then the addresses are wrong.
    """
    address = info.symbols.get("init_uts_ns")
    if address is None:
        return None
    # Before 4.2 or so a kref stands in front; VMCOREINFO tells the offset since 2.6.
    address += info.offsets.get("uts_namespace.name", 4)
    try:
        data = memory.read(address, 6 * _UTS_FIELD)
    except MemoryUnavailable:
        return None
    fields = (data[n * _UTS_FIELD : (n + 1) * _UTS_FIELD].split(b"\0", 1)[0] for n in range(6))
    names = dict(zip(_UTS_NAMES, (f.decode("utf-8", "replace") for f in fields), strict=True))
    return names if names["sysname"] == "Linux" else None
