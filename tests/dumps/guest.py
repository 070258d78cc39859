"""Builds the memory of a tiny crashed x86_64 kernel: page tables, utsname, VMCOREINFO, a log in any of its
formats.

    guest = build_guest([Record(b"Linux version 6.1.0 ..."), Record(b"BUG: ...", time_ns=5_000_000_000)])
    write_elf(guest, path)          # tests/dumps/vmcore_builder.py

Everything is made here, byte by byte, from the kernel's own definitions (Documentation/admin-guide/kdump/
vmcoreinfo.rst, kernel/printk/printk_ringbuffer.h, arch/x86/include/asm/pgtable_64.h); nothing comes from a
real dump.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field

PAGE = 4096
START_KERNEL_MAP = 0xFFFFFFFF80000000
DIRECT_MAP = {4: 0xFFFF888000000000, 5: 0xFF11000000000000}
# Offsets from _stext of what the image holds.
TABLES, UTS, VARIABLES, RING = 0x10000, 0x18000, 0x19000, 0x20000
REUSABLE, FINALIZED, COMMITTED, RESERVED = 3, 2, 1, 0


@dataclass(frozen=True)
class Record:
    """One log record to be written. `state` is the descriptor's (lockless ring only)."""

    text: bytes
    time_ns: int = 0
    level: int = 6
    facility: int = 0
    caller: int = 1
    state: int = FINALIZED
    flags: int = 2  # LOG_NEWLINE
    dictionary: bytes = b""


@dataclass
class Guest:
    """Physical memory (page frame -> bytes), the text of VMCOREINFO, and where things are."""

    pages: dict[int, bytearray] = field(default_factory=dict)
    vmcoreinfo: bytes = b""
    release: str = ""
    kaslr: int = 0
    phys_base: int = 0
    cr3: int = 0
    levels: int = 4
    registers: list[dict[str, int]] = field(default_factory=list)
    tables: list[int] = field(default_factory=list)

    @property
    def text(self) -> int:
        """Virtual address of _stext."""
        return 0xFFFFFFFF81000000 + self.kaslr

    def physical(self, virtual: int) -> int:
        """Physical address of an address in the image."""
        return virtual - START_KERNEL_MAP + self.phys_base

    def write(self, physical: int, data: bytes) -> None:
        """Put bytes into physical memory, making pages as needed."""
        done = 0
        while done < len(data):
            pfn, within = divmod(physical + done, PAGE)
            page = self.pages.setdefault(pfn, bytearray(PAGE))
            piece = data[done : done + PAGE - within]
            page[within : within + len(piece)] = piece
            done += len(piece)

    def put(self, virtual: int, data: bytes) -> None:
        """Put bytes at an address of the image or the direct map."""
        base = DIRECT_MAP[self.levels]
        self.write(virtual - base if base <= virtual < base + (1 << 40) else self.physical(virtual), data)


def build_guest(
    records: Iterable[Record] = (),
    *,
    release: str = "6.1.0-test",
    log: str = "lockless",
    kaslr: int = 0x2000000,
    phys_base: int = 0x400000,
    levels: int = 4,
    direct_map_log: bool = False,
    count_bits: int = 6,
    size_bits: int = 12,
    vmcoreinfo_page: int | None = 0x5A000,
    nodename: str = "crashbox",
    small_pages: bool = False,
) -> Guest:
    """A guest whose log holds `records`.

    `log` is "lockless" (5.10 on), "structured" (3.5 to 5.9), "structured-caller" (5.1 to 5.9 with caller ids)
    or "bytes" (before 3.5). `direct_map_log` moves the log out of the image into the direct map, as
    log_buf_len= does. `vmcoreinfo_page` is the physical address of the in-memory VMCOREINFO page, None to
    leave it out; `small_pages` maps everything by 4 KiB, as Xen PV does.
    """
    guest = Guest(release=release, kaslr=kaslr, phys_base=phys_base, levels=levels)
    text = guest.text
    guest.put(text, b"\xcc" * 64)
    _page_tables(guest, small_pages)
    names = ("Linux", nodename, release, "#1 SMP test", "x86_64", "(none)")
    guest.put(text + UTS, b"".join(n.encode().ljust(65, b"\0") for n in names))
    lines = [
        f"OSRELEASE={release}",
        "BUILD-ID=" + "ab" * 20,
        f"PAGESIZE={PAGE}",
        f"SYMBOL(init_uts_ns)={text + UTS:x}",
        "OFFSET(uts_namespace.name)=0",
        f"SYMBOL(swapper_pg_dir)={text + TABLES:x}",
        f"SYMBOL(_stext)={text:x}",
        f"SYMBOL(init_top_pgt)={text + TABLES:x}",
        f"NUMBER(pgtable_l5_enabled)={int(levels == 5)}",
        f"NUMBER(phys_base)={phys_base}",
        f"KERNELOFFSET={kaslr:x}",
        "NUMBER(KERNEL_IMAGE_SIZE)=1073741824",
        "NUMBER(sme_mask)=0",
    ]
    base = DIRECT_MAP[levels] + 0x200000 if direct_map_log else text + RING
    if log == "lockless":
        lines += _lockless(guest, list(records), base, count_bits, size_bits)
    elif log in ("structured", "structured-caller"):
        lines += _structured(guest, list(records), base, 1 << size_bits, log.endswith("caller"))
    else:
        lines += _byte_buffer(guest, list(records), base, 1 << size_bits)
    guest.vmcoreinfo = ("\n".join(lines) + "\n").encode()
    if vmcoreinfo_page is not None:
        guest.write(vmcoreinfo_page, guest.vmcoreinfo)
    return guest


def _page_tables(guest: Guest, small: bool) -> None:
    """Image by 2 MiB pages, 1 GiB of direct map by 2 MiB pages, the next by one 1 GiB page."""
    root = guest.physical(guest.text + TABLES)
    guest.cr3 = root
    top, image_pud, image_pmd, direct_pud, direct_pmd = (root + n * PAGE for n in range(5))
    if guest.levels == 5:
        p4d_image, p4d_direct = root + 5 * PAGE, root + 6 * PAGE
        _entry(guest, root, 511, p4d_image | 0x63)
        _entry(guest, root, DIRECT_MAP[5] >> 48 & 511, p4d_direct | 0x63)
        _entry(guest, p4d_image, 511, image_pud | 0x63)
        _entry(guest, p4d_direct, DIRECT_MAP[5] >> 39 & 511, direct_pud | 0x63)
    else:
        _entry(guest, top, 511, image_pud | 0x63)
        _entry(guest, top, DIRECT_MAP[4] >> 39 & 511, direct_pud | 0x63)
    _entry(guest, image_pud, 510, image_pmd | 0x63)
    index = guest.text - START_KERNEL_MAP >> 21
    guest.tables = [root + n * PAGE for n in range(7)]
    for n in range(8):
        _map(guest, image_pmd, index + n, guest.physical(guest.text) + (n << 21), small)
    _entry(guest, direct_pud, 0, direct_pmd | 0x63)
    for n in range(8 if small else 512):
        _map(guest, direct_pmd, n, n << 21, small)
    if not small:
        _entry(guest, direct_pud, 1, 1 << 30 | 0xE3)


def _map(guest: Guest, pmd: int, index: int, physical: int, small: bool) -> None:
    """2 MiB by a large page, or by a table of 4 KiB pages (Xen PV has no others)."""
    if not small:
        _entry(guest, pmd, index, physical | 0xE3)
        return
    table = 0x100000 + (len(guest.tables) - 7) * PAGE
    guest.tables.append(table)
    _entry(guest, pmd, index, table | 0x63)
    for n in range(512):
        _entry(guest, table, n, physical + n * PAGE | 0x63)


def _entry(guest: Guest, table: int, index: int, value: int) -> None:
    guest.write(table + index * 8, struct.pack("<Q", value))


def _lockless(guest: Guest, records: list[Record], base: int, count_bits: int, size_bits: int) -> list[str]:
    """A printk_ringbuffer after the records were written one by one, the oldest dropped as the kernel"
    " does."""
    count, size = 1 << count_bits, 1 << size_bits
    descs, infos = base, base + (count * 24 + PAGE - 1 & -PAGE)
    data = infos + (count * 88 + PAGE - 1 & -PAGE)
    prb = guest.text + VARIABLES
    guest.put(descs, bytes(count * 24))
    guest.put(infos, bytes(count * 88))
    guest.put(data, bytes(size))
    # printk_ringbuffer.h, "descriptor ring": the first id is -(count + 1), its sequence number 0 comes one
    # later.
    head = (1 << 62) - count - 1
    lpos = -size & (1 << 64) - 1
    blocks: list[tuple[int, int, int]] = []
    for seq, record in enumerate(records):
        head = head + 1 & (1 << 62) - 1
        index = head % count
        if record.text or record.state != FINALIZED:
            need = 8 + len(record.text) + 7 & ~7
            begin = lpos
            following = begin + need & (1 << 64) - 1
            at = begin % size
            if at + need > size:
                at = 0
                following = (begin // size + 1) * size + need & (1 << 64) - 1
            guest.put(data + at, struct.pack("<Q", head) + record.text)
            lpos = following
        else:
            begin = following = 3
        blocks.append((head, begin, following))
        guest.put(descs + index * 24, struct.pack("<QQQ", record.state << 62 | head, begin, following))
        info = struct.pack(
            "<QQHBBI",
            seq,
            record.time_ns,
            len(record.text),
            record.facility,
            record.level << 5 | record.flags,
            record.caller,
        )
        guest.put(infos + index * 88, info.ljust(88, b"\0"))
    tail = head if not blocks else blocks[0][0]
    mask = (1 << 62) - 1
    for identity, begin, following in blocks:
        gone = head - identity & mask >= count
        if not begin & 1 and lpos - begin & (1 << 64) - 1 > size:
            gone = True
        if gone:
            tail = identity + 1 & mask
            if head - identity & mask < count:
                guest.put(
                    descs + identity % count * 24,
                    struct.pack("<QQQ", REUSABLE << 62 | identity, begin, following),
                )
    ring = struct.pack("<IIQQQQQ", count_bits, 0, descs, infos, head, tail, 0)
    ring += struct.pack("<IIQQQ", size_bits, 0, data, lpos, lpos - size & (1 << 64) - 1) + bytes(8)
    guest.put(prb, struct.pack("<Q", prb + 64))
    guest.put(prb + 64, ring)
    return [
        f"SYMBOL(prb)={prb:x}",
        "SIZE(printk_ringbuffer)=88",
        "OFFSET(printk_ringbuffer.desc_ring)=0",
        "OFFSET(printk_ringbuffer.text_data_ring)=48",
        "OFFSET(prb_desc_ring.count_bits)=0",
        "OFFSET(prb_desc_ring.descs)=8",
        "OFFSET(prb_desc_ring.infos)=16",
        "OFFSET(prb_desc_ring.head_id)=24",
        "OFFSET(prb_desc_ring.tail_id)=32",
        "SIZE(prb_desc)=24",
        "OFFSET(prb_desc.state_var)=0",
        "OFFSET(prb_desc.text_blk_lpos)=8",
        "OFFSET(prb_data_blk_lpos.begin)=0",
        "OFFSET(prb_data_blk_lpos.next)=8",
        "SIZE(printk_info)=88",
        "OFFSET(printk_info.seq)=0",
        "OFFSET(printk_info.ts_nsec)=8",
        "OFFSET(printk_info.text_len)=16",
        "OFFSET(printk_info.caller_id)=20",
        "OFFSET(prb_data_ring.size_bits)=0",
        "OFFSET(prb_data_ring.data)=8",
        "OFFSET(prb_data_ring.head_lpos)=16",
    ]


def _structured(guest: Guest, records: list[Record], base: int, size: int, caller: bool) -> list[str]:
    """struct printk_log records (kernel/printk/printk.c, 3.5 to 5.9), wrapping as log_store() does."""
    header = 20 if caller else 16
    image = bytearray(size)
    kept: list[tuple[int, int]] = []
    index = 0
    for record in records:
        body = record.text + record.dictionary
        length = header + len(body) + 3 & ~3
        if index + length + header > size:
            image[index : index + header] = bytes(header)  # length 0: the next record is at 0
            kept = [(at, n) for at, n in kept if at < index]
            index = 0
        kept = [(at, n) for at, n in kept if at + n <= index or at >= index + length + header]
        packed = struct.pack(
            "<QHHHBB",
            record.time_ns,
            length,
            len(record.text),
            len(record.dictionary),
            record.facility,
            record.flags | record.level << 5,
        )
        packed += struct.pack("<I", record.caller) if caller else b""
        image[index : index + length] = (packed + body).ljust(length, b"\0")
        kept.append((index, length))
        index += length
    guest.put(base, bytes(image))
    variables = guest.text + VARIABLES
    guest.put(variables, struct.pack("<QIIII", base, size, kept[0][0] if kept else 0, index, 0))
    return [
        f"SYMBOL(log_buf)={variables:x}",
        f"SYMBOL(log_buf_len)={variables + 8:x}",
        f"SYMBOL(log_first_idx)={variables + 12:x}",
        f"SYMBOL(log_next_idx)={variables + 16:x}",
        f"SIZE(printk_log)={header}",
        "OFFSET(printk_log.ts_nsec)=0",
        "OFFSET(printk_log.len)=8",
        "OFFSET(printk_log.text_len)=10",
        "OFFSET(printk_log.dict_len)=12",
    ]


def _byte_buffer(guest: Guest, records: list[Record], base: int, size: int) -> list[str]:
    """The character ring before 3.5: lines as printed, "<6>[    1.234567] text"."""
    text = b"".join(
        b"<%d>[%5d.%06d] %s\n" % (r.level, r.time_ns // 10**9, r.time_ns % 10**9 // 1000, r.text) for r in records
    )
    image = bytearray(size)
    for n in range(max(0, len(text) - size), len(text)):
        image[n % size] = text[n]
    guest.put(base, bytes(image))
    variables = guest.text + VARIABLES
    guest.put(variables, struct.pack("<QIII", base, size, len(text), min(len(text), size)))
    return [
        f"SYMBOL(log_buf)={variables:x}",
        f"SYMBOL(log_buf_len)={variables + 8:x}",
        f"SYMBOL(log_end)={variables + 12:x}",
        f"SYMBOL(logged_chars)={variables + 16:x}",
    ]
