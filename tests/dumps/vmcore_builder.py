"""Writes a `Guest` as a dump file: ELF, kdump-compressed, flattened, Xen dump-core. Sources: the readers'
docstrings.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

from dumps.guest import PAGE, Guest, Record, build_guest

__all__ = [
    "Guest",
    "Record",
    "build_guest",
    "elf_bytes",
    "flatten",
    "kdump_bytes",
    "write_elf",
    "write_kdump",
    "xen_bytes",
]

X86_ORDER = (
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
    "orig_rax",
    "rip",
    "cs",
    "eflags",
    "rsp",
    "ss",
    "fs_base",
    "gs_base",
    "ds",
    "es",
    "fs",
    "gs",
)


def note(name: bytes, kind: int, desc: bytes) -> bytes:
    """One ELF note with its padding."""
    name += b"\0"
    padded = name.ljust(len(name) + 3 & ~3, b"\0") + desc.ljust(len(desc) + 3 & ~3, b"\0")
    return struct.pack("<III", len(name), len(desc), kind) + padded


def prstatus(registers: dict[str, int], pid: int = 1) -> bytes:
    """NT_PRSTATUS of one x86_64 CPU."""
    values = struct.pack("<27Q", *(registers.get(n, 0) & (1 << 64) - 1 for n in X86_ORDER))
    return note(b"CORE", 1, bytes(32) + struct.pack("<i", pid) + bytes(76) + values + bytes(8))


def qemu_state(registers: dict[str, int]) -> bytes:
    """QEMU's note of one CPU: general registers, IDTR, control registers."""
    order = [
        "rax",
        "rbx",
        "rcx",
        "rdx",
        "rsi",
        "rdi",
        "rsp",
        "rbp",
        "r8",
        "r9",
        "r10",
        "r11",
        "r12",
        "r13",
        "r14",
        "r15",
        "rip",
        "eflags",
    ]
    desc = struct.pack("<II", 1, 440) + struct.pack("<18Q", *(registers.get(n, 0) for n in order))
    desc += bytes(240)
    desc += struct.pack("<5Q", *(registers.get(n, 0) for n in ("cr0", "cr1", "cr2", "cr3", "cr4")))
    return note(b"QEMU", 0, desc + struct.pack("<Q", registers.get("kernel_gs_base", 0)))


def notes_of(guest: Guest, vmcoreinfo: bool = True, qemu: bool = False) -> bytes:
    """All notes of the guest."""
    cpus = guest.registers or [{"rip": guest.text + 0x10, "rsp": guest.text + 0x19000, "cr3": guest.cr3}]
    data = b"".join(prstatus(cpu, n + 1) for n, cpu in enumerate(cpus))
    if qemu:
        data += b"".join(qemu_state(cpu) for cpu in cpus)
    return data + (note(b"VMCOREINFO", 0, guest.vmcoreinfo) if vmcoreinfo else b"")


def runs(guest: Guest) -> list[tuple[int, bytes]]:
    """(physical address, bytes) of neighbouring pages, ascending."""
    found: list[tuple[int, bytes]] = []
    for pfn in sorted(guest.pages):
        if found and found[-1][0] + len(found[-1][1]) == pfn * PAGE:
            found[-1] = (found[-1][0], found[-1][1] + bytes(guest.pages[pfn]))
        else:
            found.append((pfn * PAGE, bytes(guest.pages[pfn])))
    return found


def elf_bytes(guest: Guest, *, layout: str = "kdump", vmcoreinfo: bool = True, qemu: bool = False) -> bytes:
    """An ELF vmcore.

    `layout` is "kdump" (header, program headers, notes, memory), "qemu" (sections first), "proc" (as /proc/vmcore: one
    more LOAD with the kernel image's virtual address, overlapping the direct map's in physical memory) or "xnum" (the
    number of program headers in section 0).
    """
    pieces = runs(guest)
    notes = notes_of(guest, vmcoreinfo, qemu)
    sections = layout in ("qemu", "xnum")
    phoff = 192 if sections else 64
    loads = [(0, address, data) for address, data in pieces]
    if layout == "proc":
        image = guest.physical(guest.text)
        virtual = next((a, d) for a, d in pieces if a <= image < a + len(d))
        loads.insert(0, (guest.text, image, virtual[1][image - virtual[0] :]))
    count = len(loads) + 1
    header = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    header += struct.pack("<HHIQQQI", 4, 62, 1, 0, phoff, 64 if sections else 0, 0)
    header += struct.pack("<HHH", 8 if sections else 64, 56, 0xFFFF if layout == "xnum" else count)
    header += struct.pack("<HHH", *((64, 2, 1) if sections else (0, 0, 0)))
    if sections:
        header += bytes(44) + struct.pack("<I", count) + bytes(16)
    offset = phoff + 56 * count
    table = struct.pack("<IIQQQQQQ", 4, 0, offset, 0, 0, len(notes), len(notes), 0)
    offset += len(notes)
    for virtual_address, address, data in loads:
        table += struct.pack("<IIQQQQQQ", 1, 7, offset, virtual_address, address, len(data), len(data), 0)
        offset += len(data)
    return header.ljust(phoff, b"\0") + table + notes + b"".join(data for _, _, data in loads)


def write_elf(guest: Guest, path: Path, **options: object) -> Path:
    """`elf_bytes` into a file."""
    path.write_bytes(elf_bytes(guest, **options))  # type: ignore[arg-type]
    return path


def kdump_bytes(
    guest: Guest,
    *,
    compress: Callable[[bytes], bytes] = zlib.compress,
    flag: int = 1,
    version: int = 6,
    status: int = 1,
    utsname: bool = True,
    vmcoreinfo: bool = True,
    window: tuple[int, int] | None = None,
) -> bytes:
    """A kdump-compressed file; `window` (first, last pfn) makes it a piece of a split set."""
    max_mapnr = max(guest.pages) + 1
    bitmap_blocks = -(-max_mapnr // (8 * PAGE))
    names = ("Linux", "crashbox", guest.release, "#1 SMP test", "x86_64", "(none)") if utsname else ("",) * 6
    header = b"KDUMP   " + struct.pack("<i", version) + b"".join(n.encode().ljust(65, b"\0") for n in names)
    header = header.ljust(408, b"\0") + bytes(16)
    header += struct.pack(
        "<IiiIIIIIIi",
        status,
        PAGE,
        1,
        2 * bitmap_blocks,
        max_mapnr if version < 6 or utsname else 0,
        0,
        0,
        0,
        0,
        max(1, len(guest.registers)),
    )
    notes = notes_of(guest, vmcoreinfo)
    start, end = window or (0, max_mapnr)
    data_start = PAGE * (2 + 2 * bitmap_blocks)
    pfns = sorted(p for p in guest.pages if start <= p < end)
    position = data_start + 24 * len(pfns)
    descriptors, data = b"", b""
    for pfn in pfns:
        page = bytes(guest.pages[pfn])
        packed = compress(page)
        flags = flag
        if len(packed) >= PAGE:
            packed, flags = page, 0
        descriptors += struct.pack("<qIIQ", position + len(data), len(packed), flags, 0)
        data += packed
    tail = position + len(data)
    sub = struct.pack(
        "<qiiQQQQQQQQQQQ",
        guest.phys_base,
        31,
        int(window is not None),
        start,
        end,
        tail if vmcoreinfo else 0,
        len(guest.vmcoreinfo) if vmcoreinfo else 0,
        tail + len(guest.vmcoreinfo),
        len(notes),
        0,
        0,
        start,
        end,
        max_mapnr,
    )
    bitmap = bytearray(PAGE * bitmap_blocks)
    for pfn in guest.pages:
        bitmap[pfn >> 3] |= 1 << (pfn & 7)
    both = bytes(bitmap) * 2
    return header.ljust(PAGE, b"\0") + sub.ljust(PAGE, b"\0") + both + descriptors + data + guest.vmcoreinfo + notes


def write_kdump(guest: Guest, path: Path, **options: object) -> Path:
    """`kdump_bytes` into a file."""
    path.write_bytes(kdump_bytes(guest, **options))  # type: ignore[arg-type]
    return path


def flatten(data: bytes, block: int = 3000, order: Sequence[int] | None = None) -> bytes:
    """makedumpfile -F: big-endian (offset, size) before every piece; `order` permutes the pieces."""
    out = b"makedumpfile".ljust(16, b"\0") + struct.pack(">qq", 1, 1)
    out = out.ljust(PAGE, b"\0")
    starts = list(range(0, len(data), block))
    for index in order or range(len(starts)):
        piece = data[starts[index] : starts[index] + block]
        out += struct.pack(">qq", starts[index], len(piece)) + piece
    return out + struct.pack(">qq", -1, -1)


def xen_bytes(guest: Guest, *, kind: str = "pvh", machine_offset: int = 0x1000, shuffle: bool = True) -> bytes:
    """`xl dump-core`: "pvh" and "hvm" with .xen_pfn, "pv" with .xen_p2m (machine frame = pfn +
    machine_offset).
    """
    is_pv = kind == "pv"
    pfns = sorted(guest.pages)
    if shuffle:
        pfns = pfns[len(pfns) // 2 :] + pfns[: len(pfns) // 2]
    magic = 0xF00FEBED if is_pv else 0xF00FEBEE
    notes = note(b"Xen", 0x2000001, struct.pack("<QQQQ", magic, 1, len(pfns), PAGE))
    notes += note(b"Xen", 0x2000002, bytes(1272)) + note(b"Xen", 0x2000003, struct.pack("<Q", 1))
    registers = (guest.registers or [{"rip": guest.text + 0x10, "rsp": guest.text + 0x19000}])[0]
    context = bytearray(0x1430)
    order = [
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
    ]
    struct.pack_into("<15Q", context, 520, *(registers.get(n, 0) for n in order))
    struct.pack_into("<Q", context, 648, registers.get("rip", 0))
    struct.pack_into("<Q", context, 672, registers.get("rsp", 0))
    cr3 = guest.cr3 + (machine_offset * PAGE if is_pv else 0)
    struct.pack_into("<Q", context, 5008, cr3)
    struct.pack_into("<Q", context, 5016, 0x1000 if guest.levels == 5 else 0)
    frames = {p: bytes(guest.pages[p]) for p in pfns}
    if is_pv:
        for address in guest.tables:
            if address // PAGE in frames:
                entries = struct.unpack("<512Q", frames[address // PAGE])
                moved = (e + machine_offset * PAGE if e & 1 else e for e in entries)
                frames[address // PAGE] = struct.pack("<512Q", *moved)
    pages = b"".join(frames[p] for p in pfns)
    index = b"".join(struct.pack("<QQ", p, p + machine_offset) if is_pv else struct.pack("<Q", p) for p in pfns)
    names = b"\0.shstrtab\0.note.Xen\0.xen_prstatus\0.xen_shared_info\0.xen_pages\0"
    names += b".xen_p2m\0" if is_pv else b".xen_pfn\0"
    offset = 64 + 7 * 64
    bodies: list[tuple[bytes, int, int, bytes]] = []
    for name, sh_type, size, body in (
        (b".note.Xen", 7, 0, notes),
        (b".xen_prstatus", 1, 0x1430, bytes(context)),
        (b".xen_shared_info", 1, PAGE, bytes(PAGE)),
        (b".xen_pages", 1, PAGE, b""),
        (b".xen_p2m" if is_pv else b".xen_pfn", 1, 16 if is_pv else 8, index),
        (b".shstrtab", 3, 0, names),
    ):
        bodies.append((name, sh_type, size, body if name != b".xen_pages" else pages))
    table, blob = bytes(64), b""
    rows: dict[bytes, bytes] = {}
    for name, sh_type, size, body in bodies:
        if name == b".xen_pages":
            blob = blob.ljust((offset + len(blob) + PAGE - 1 & -PAGE) - offset, b"\0")
        rows[name] = struct.pack(
            "<IIQQQQIIQQ", names.index(name), sh_type, 0, 0, offset + len(blob), len(body), 0, 0, 0, size
        )
        blob += body
    table += rows[b".shstrtab"] + b"".join(row for name, row in rows.items() if name != b".shstrtab")
    header = b"\x7fELF\x02\x01\x01\0\x01".ljust(16, b"\0")
    header += struct.pack("<HHIQQQIHHHHHH", 4, 62, 1, 0, 0, 64, 0, 64, 56, 0, 64, 7, 1)
    return header + table + blob
