"""
The founding case as a Xen HVM core, built byte by byte: log, registers, page tables, napi, queue, ring, slots.

    write_founding_core(path)                                    # as it was
    write_founding_core(path, rsp_cons=0x1D2, rsp_prod=0x1DB, cleared=3)
    write_founding_core(path, left_out="sring")

KASLR 0x25000000, phys_base 0x7c5000000, no VMCOREINFO note; addresses as in the write-up. Member offsets are those of
kb/layouts/uek5.yaml, written out here once more, so that a wrong one shows.
"""

from __future__ import annotations

import re
import struct
from pathlib import Path

from dumps.guest import PAGE, TABLES, Guest, Record, build_guest
from dumps.vmcore_builder import xen_bytes

RELEASE = "4.14.35-1902.5.2.el7uek.x86_64"
DIRECT = 0xFFFF98C000000000
NAPI = 0xFFFF98C023924528
QUEUE = NAPI - 0x28
INFO, DEVICE = 0xFFFF98C025B5A900, 0xFFFF98C025B5A000
SRING = 0xFFFF98C005F1E000
STACK = 0xFFFF98C029003DD8
POLL = 0xFFFFFFFFC01CF310
_LINE = re.compile(r"\[\s*(\d+)\.(\d{6})\] (.*)")
_ORDER = ("r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx", "rdx", "rsi", "rdi")


def founding_guest(
    log: str,
    *,
    rsp_cons: int = 0xFFFFFFFF,
    rsp_prod: int = 193,
    cleared: int = 1,
    left_out: str = "",
    frame: bool = True,
) -> Guest:
    """The guest; `cleared` slots in a row from rsp_cons on are empty. `left_out` is "sring", "queue" or nothing.

    Without `frame` there is no struct pt_regs on the stack.
    """
    records = [
        Record(found[3].encode(), int(found[1]) * 10**9 + int(found[2]) * 1000)
        for line in log.splitlines()
        if (found := _LINE.match(line))
    ]
    guest = build_guest(
        records,
        release=RELEASE,
        log="structured",
        kaslr=0x25000000,
        phys_base=0x7C5000000,
        size_bits=14,
        nodename="ovhpasdbo1",
    )
    _map_direct(guest)
    _napi_and_ring(guest, rsp_cons, rsp_prod, cleared)
    if frame:
        _exception_frame(guest, log)
    for name, address, length in (("sring", SRING, PAGE), ("queue", QUEUE, 3 * PAGE)):
        if left_out == name:
            for pfn in range((address - DIRECT) // PAGE, (address + length - DIRECT) // PAGE):
                guest.pages.pop(pfn, None)
    guest.registers = [{"rip": guest.text + 0x10, "rsp": STACK - 0x400, "cr3": guest.cr3}]
    return guest


def write_founding_core(path: Path, log: str, **what: object) -> Path:
    """`founding_guest` as a core of `xl dump-core`."""
    path.write_bytes(xen_bytes(founding_guest(log, **what), kind="hvm"))  # type: ignore[arg-type]
    return path


def _map_direct(guest: Guest) -> None:
    """The first GiB of the direct map, at the place that KASLR gave it, by one large page."""
    root = guest.physical(guest.text + TABLES)
    table = root + 7 * PAGE
    guest.write(root + (DIRECT >> 39 & 511) * 8, struct.pack("<Q", table | 0x63))
    guest.write(table + (DIRECT >> 30 & 511) * 8, struct.pack("<Q", 0xE3))


def _put(guest: Guest, address: int, layout: str, *values: int) -> None:
    guest.write(address - DIRECT, struct.pack(layout, *values))


def _napi_and_ring(guest: Guest, rsp_cons: int, rsp_prod: int, cleared: int) -> None:
    _put(guest, QUEUE, f"<{0x2400}x")
    _put(guest, NAPI - 8, "<Q", INFO)
    _put(guest, NAPI, "<QQQiI", NAPI, NAPI, 17, 64, 0)
    _put(guest, NAPI + 0x20, "<QiiQQ", POLL, -1, 0, DEVICE, 0)
    _put(guest, NAPI + 0x1560, "<IIIIQ", 255, rsp_cons, 256, 0, SRING)
    slots = [0xFFFF98C010000000 + 0x100 * n for n in range(256)]
    for n in range(cleared):
        slots[(rsp_cons + n) & 255] = 0
    _put(guest, NAPI + 0x15B0, "<256Q", *slots)
    _put(guest, INFO, "<QQQ", 0, 0, DEVICE)
    guest.write(DEVICE - DIRECT, b"eth1".ljust(16, b"\0"))
    _put(guest, SRING, "<IIII", 255, 1, rsp_prod, 1)


def _exception_frame(guest: Guest, log: str) -> None:
    """struct pt_regs as the CPU and the entry code leave it below the interrupted stack pointer."""
    values = {name.lower().replace("r0", "r"): int(value, 16) for name, value in _registers(log)}
    words = [values[name] for name in _ORDER]
    words += [(1 << 64) - 1, POLL + 0x2BB, 0x10, 0x10287, STACK, 0x18]
    _put(guest, (STACK & ~15) - 21 * 8, "<21Q", *words)


def _registers(log: str) -> list[tuple[str, str]]:
    block = log[log.index("RAX:") : log.index("FS:")]
    return re.findall(r"\b(R[A-Z]{2}|R\d\d): ([0-9a-f]{16})", block)
