"""Sparse dumps of machines of any size: as many gigabytes as asked for, a few kilobytes on the disk."""

from __future__ import annotations

import struct
from pathlib import Path

from dumps.guest import PAGE, Guest
from dumps.vmcore_builder import kdump_bytes, notes_of


def sparse_elf(guest: Guest, path: Path, size: int) -> Path:
    """An ELF vmcore with one LOAD of `size` bytes of memory from 0 on; what the guest does not have is a hole."""
    notes = notes_of(guest)
    header = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    header += struct.pack("<HHIQQQIHHHHHH", 4, 62, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    start = 64 + 2 * 56 + len(notes) + PAGE - 1 & -PAGE
    header += struct.pack("<IIQQQQQQ", 4, 0, 64 + 2 * 56, 0, 0, len(notes), len(notes), 0)
    header += struct.pack("<IIQQQQQQ", 1, 7, start, 0, 0, size, size, 0)
    path.unlink(missing_ok=True)
    with path.open("wb") as file:
        file.write(header + notes)
        for pfn, page in guest.pages.items():
            file.seek(start + pfn * PAGE)
            file.write(page)
        file.truncate(start + size)
    return path


def sparse_kdump(guest: Guest, path: Path, size: int) -> Path:
    """A kdump-compressed file for a machine of `size` bytes, of which only the guest's pages were dumped."""
    frames = size // PAGE
    small = kdump_bytes(guest)
    blocks = struct.unpack_from("<I", small, 436)[0] // 2
    wide = -(-frames // (8 * PAGE))
    moved = (wide - blocks) * 2 * PAGE
    body = 2 * PAGE + 2 * blocks * PAGE
    head = bytearray(small[: 2 * PAGE])
    struct.pack_into("<II", head, 436, 2 * wide, frames)
    for at in (32, 48):
        (offset,) = struct.unpack_from("<Q", head, PAGE + at)
        struct.pack_into("<Q", head, PAGE + at, offset + moved)
    struct.pack_into("<QQ", head, PAGE + 88, frames, frames)
    rest = bytearray(small[body:])
    for n in range(len(guest.pages)):
        (offset,) = struct.unpack_from("<q", rest, 24 * n)
        struct.pack_into("<q", rest, 24 * n, offset + moved)
    bitmap = small[2 * PAGE : 2 * PAGE + blocks * PAGE]
    path.unlink(missing_ok=True)
    with path.open("wb") as file:
        file.write(head)
        for half in range(2):
            file.seek(2 * PAGE + half * wide * PAGE)
            file.write(bitmap)
        file.seek(body + moved)
        file.write(rest)
    return path
