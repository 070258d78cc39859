"""From a container to the kernel's memory: by VMCOREINFO, by what the user says, or by search."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from kbmatch.collectors.containers.container import Container
from kbmatch.collectors.memory.memory import Memory
from kbmatch.collectors.memory.vmcoreinfo import VmcoreInfo, parse_vmcoreinfo
from kbmatch.collectors.memory.x86_64 import DEFAULT_TEXT, IMAGE_SPAN, START_KERNEL_MAP, X8664Translation
from kbmatch.engine.errors import DamagedDump, MemoryUnavailable
from kbmatch.engine.values import dataclass, field

if TYPE_CHECKING:
    from kbmatch.collectors.memory.kernel_search import FoundInfo, KernelImage

_TOP_TABLES = ("init_top_pgt", "swapper_pg_dir", "init_level4_pgt")
_UTS_FIELD = 65
_UTS_NAMES: tuple[str, ...] = ("sysname", "nodename", "release", "version", "machine", "domainname")


@dataclass(slots=True)
class KernelSpace:
    """The kernel's memory (None where it cannot be found) and how it was found.

    `info` may be empty; `info_text` is its text. `image` is (address of _text, length) where page tables told
    it. `remarks` are lines for the user.
    """

    info: VmcoreInfo
    info_text: bytes = b""
    memory: Memory | None = None
    uts: dict[str, str] | None = None
    kaslr_offset: int | None = None
    phys_base: int | None = None
    image: tuple[int, int] | None = None
    remarks: list[str] = field(default_factory=list)


def open_kernel_space(
    container: Container, *, kaslr: int | None = None, phys_base: int | None = None, vmcoreinfo: bytes | None = None
) -> KernelSpace:
    """The kernel's memory. `kaslr`, `phys_base` and `vmcoreinfo` overrule what the dump tells. Never raises."""
    text = vmcoreinfo or container.vmcoreinfo or b""
    space = KernelSpace(parse_vmcoreinfo(text), text)
    space.phys_base = phys_base
    if container.machine == "aarch64" or space.info.machine == "aarch64":
        _open_aarch64(container, space)
        return space
    if space.info.symbols:
        _open_x86_64(container, space, kaslr)
    if space.uts is None and phys_base is None and vmcoreinfo is None:
        _search_x86_64(container, space)
    elif space.uts is None and kaslr is not None and phys_base is not None:
        _open_told(container, space, kaslr, phys_base)
    if space.memory is not None and space.uts is None and space.info.symbols:
        space.remarks.append("the kernel's addresses could not be verified: init_uts_ns cannot be read at its place")
    return space


def _open_x86_64(container: Container, space: KernelSpace, kaslr: int | None) -> None:
    info = space.info
    space.kaslr_offset = kaslr if kaslr is not None else kaslr_offset(info)
    bases = [space.phys_base, info.phys_base(), container.phys_base]
    for base in dict.fromkeys(b for b in bases if b is not None):
        memory = x86_64_memory(container, info, base)
        uts = read_utsname(memory, info)
        if uts is not None or space.memory is None:
            space.memory, space.uts = memory, uts
            space.phys_base = base
        if uts is not None:
            return


def _open_told(container: Container, space: KernelSpace, kaslr: int, phys_base: int) -> None:
    text = DEFAULT_TEXT + kaslr
    space.kaslr_offset, space.phys_base, space.image = kaslr, phys_base, (text, 64 << 20)
    image = (text, text + (64 << 20), phys_base)
    space.memory = Memory(container, X8664Translation(container, None, 4, image))


def _search_x86_64(container: Container, space: KernelSpace) -> None:
    """No note, or one that explains nothing: look at the CPUs' page tables and for the text in memory."""
    from kbmatch.collectors.memory.kernel_search import find_in_images, find_in_memory, images_of_cpus

    images = images_of_cpus(container)
    offsets = {(i.kaslr_offset, i.phys_base) for i in images}
    if len(offsets) > 1:
        space.remarks.append("the CPUs' page tables map different kernel images: the first is used")
    if space.info.symbols and images:
        # The text is known, only phys_base is not told (kernels before 4.10).
        trial = KernelSpace(space.info, phys_base=images[0].phys_base)
        _open_x86_64(container, trial, None)
        if trial.uts is not None:
            space.memory, space.uts, space.phys_base = trial.memory, trial.uts, trial.phys_base
            space.kaslr_offset = images[0].kaslr_offset
            space.image = (images[0].text, images[0].length)
            return
    if _take(container, space, images, find_in_images(container, images)):
        return
    if images:
        _take_symbols(container, space, images[0])
        if space.uts is not None:
            return
    if not _take(container, space, images, find_in_memory(container)) and images and space.info.release is None:
        space.remarks.append(
            "no VMCOREINFO note and none in memory: KASLR offset and phys_base are those of a CPU's page tables alone"
        )


def _take(container: Container, space: KernelSpace, images: list[KernelImage], candidates: Iterator[FoundInfo]) -> bool:
    """Use the first candidate that explains init_uts_ns and agrees with the page tables."""
    for found in candidates:
        info = found.info
        bases = [info.phys_base(), *(i.phys_base for i in images if i.text == info.symbols["_stext"] & ~0x1FFFFF)]
        for base in dict.fromkeys(b for b in bases if b is not None):
            memory = x86_64_memory(container, info, base)
            uts = read_utsname(memory, info)
            if uts is None or uts["release"] != info.release:
                continue
            offset = kaslr_offset(info)
            agrees = next((i for i in images if i.phys_base == base and offset in (None, i.kaslr_offset)), None)
            if images and agrees is None:
                # An earlier boot's text, left in memory by a reboot or kexec.
                continue
            space.info, space.info_text, space.memory, space.uts = info, found.text, memory, uts
            space.phys_base, space.kaslr_offset = base, offset
            if agrees is not None:
                space.kaslr_offset, space.image = agrees.kaslr_offset, (agrees.text, agrees.length)
            how = "the page tables of a CPU agree" if agrees else "no page tables of a CPU to compare it with"
            space.remarks.append(
                f"no VMCOREINFO note: the kernel was found by the text in its memory at 0x{found.address:x}; {how}"
            )
            return True
    return False


_LOG_SYMBOLS = ("prb", "log_buf", "log_buf_len", "log_first_idx", "log_next_idx", "log_end", "logged_chars")


def _take_symbols(container: Container, space: KernelSpace, image: KernelImage) -> None:
    """The page tables of a CPU tell where the image is, and the symbol table in it where the rest is."""
    from kbmatch.collectors.memory.kallsyms_search import find_kallsyms

    space.kaslr_offset, space.phys_base = image.kaslr_offset, image.phys_base
    space.image = (image.text, image.length)
    linear = (image.text, image.text + image.length, image.phys_base)
    memory = Memory(container, X8664Translation(container, image.root, image.levels, linear))
    space.memory = memory
    symbols = find_kallsyms(memory, image.text, image.length)
    if symbols is None:
        return
    try:
        found = symbols.find((*_LOG_SYMBOLS, "init_uts_ns", "_stext"))
    except (MemoryUnavailable, DamagedDump):
        return
    info = VmcoreInfo(symbols=found | symbols.tables)
    uts = read_utsname(memory, info)
    if uts is not None:
        space.info, space.uts = info, uts
        space.remarks.append(
            "no VMCOREINFO note and none in memory: the kernel was found by the page tables of a CPU and the"
            " symbol table in its memory"
        )


def _open_aarch64(container: Container, space: KernelSpace) -> None:
    """By VMCOREINFO, else by the text that the kernel keeps in memory."""
    if _take_aarch64(container, space, space.info):
        return
    if space.info.release is None:
        from kbmatch.collectors.memory.kernel_search import find_in_memory

        for found in find_in_memory(container):
            if _take_aarch64(container, space, found.info) and space.uts is not None:
                space.info_text = found.text
                space.remarks.append(
                    f"no VMCOREINFO note: the kernel was found by the text in its memory at 0x{found.address:x}"
                )
                return
        space.info, space.memory, space.kaslr_offset = VmcoreInfo(), None, None
        return
    space.remarks.append("no kernel memory: VMCOREINFO does not tell kimage_voffset and swapper_pg_dir")


def _take_aarch64(container: Container, space: KernelSpace, info: VmcoreInfo) -> bool:
    from kbmatch.collectors.memory.aarch64 import Aarch64Translation

    space.kaslr_offset, space.phys_base = info.kernel_offset, None
    offset, root = info.numbers.get("kimage_voffset"), info.symbols.get("swapper_pg_dir")
    page_size = info.page_size or container.page_size
    bits = 64 - info.numbers["TCR_EL1_T1SZ"] if "TCR_EL1_T1SZ" in info.numbers else info.numbers.get("VA_BITS", 48)
    if offset is None or root is None or page_size not in (4096, 16384, 65536) or not 30 <= bits <= 52:
        return False
    start = info.symbols.get("_stext", root) & ~(page_size - 1)
    # Image symbols lie within 256 MiB of _stext; the direct map and mem_section are elsewhere.
    end = max(a for a in (*info.symbols.values(), start) if start <= a < start + (256 << 20))
    image = (start, (end | page_size - 1) + 1, offset)
    translation = Aarch64Translation(container, (root - offset) & (1 << 64) - 1, page_size, bits, image)
    space.info = info
    space.memory = Memory(container, translation)
    space.uts = read_utsname(space.memory, info)
    return True


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
    image_symbols = [a for a in info.symbols.values() if START_KERNEL_MAP <= a < START_KERNEL_MAP + IMAGE_SPAN]
    image = None
    start = info.symbols.get("_stext") or min(image_symbols, default=None)
    if start is not None and start + phys_base >= START_KERNEL_MAP:
        # The last symbol that is known marks what is surely image; the rest goes through the tables.
        image = (start & ~0xFFF, (max(image_symbols, default=start) | 0xFFF) + 1, phys_base)
    root = next((info.symbols[name] for name in _TOP_TABLES if name in info.symbols), None)
    if root is not None and START_KERNEL_MAP <= root < START_KERNEL_MAP + IMAGE_SPAN:
        root = _root(container, root - START_KERNEL_MAP + phys_base)
    else:
        root = None
    levels = 5 if info.numbers.get("pgtable_l5_enabled") == 1 else 4
    return Memory(container, X8664Translation(container, root, levels, image, info.numbers.get("sme_mask", 0)))


def _root(container: Container, physical: int) -> int | None:
    """The top table as a frame address: for Xen PV a CPU's cr3 (a machine frame), for others the kernel's own."""
    if not getattr(container, "is_pv", False):
        return physical
    return next((cpu.registers["cr3"] for cpu in container.registers if cpu.registers.get("cr3")), None)


def read_utsname(memory: Memory, info: VmcoreInfo) -> dict[str, str] | None:
    """`init_uts_ns.name` (struct new_utsname): sysname, nodename, release, version, machine, domainname.

    None where it cannot be read or does not begin with "Linux": then the addresses are wrong.
    """
    address = info.symbols.get("init_uts_ns")
    if address is None:
        return None
    # A reference count stood in front before 5.11; VMCOREINFO tells the offset since 4.10 or so.
    told = info.offsets.get("uts_namespace.name")
    for offset in (4, 0) if told is None else (told,):
        try:
            data = memory.read(address + offset, 6 * _UTS_FIELD)
        except MemoryUnavailable:
            continue
        fields = (data[n * _UTS_FIELD : (n + 1) * _UTS_FIELD].split(b"\0", 1)[0] for n in range(6))
        names = dict(zip(_UTS_NAMES, (f.decode("utf-8", "replace") for f in fields), strict=True))
        if names["sysname"] == "Linux":
            return names
    return None
