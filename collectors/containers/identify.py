"""What kind of dump a file is, by its content."""

from __future__ import annotations

import struct

# What `identify` needs at most; it never looks behind the first 64 KiB.
HEAD = 4096


def identify(head: bytes, size: int) -> str | None:
    """The name of the dump container that begins with `head` (its first 64 KiB at most), None if it is no
    dump.

    `size` is the size of the whole in bytes, 0 where it is not known. Names: elf-vmcore, kdump-compressed,
    kdump-flattened, xen-dump-core. Formats that are recognised but not read: `unsupported.explain`.
    """
    if head[:8] == b"KDUMP   ":
        return "kdump-compressed"
    if head[:13] == b"makedumpfile\0":
        return "kdump-flattened"
    if head[:4] == b"\x7fELF" and len(head) >= 18:
        little = head[5:6] != b"\x02"
        (kind,) = struct.unpack_from("<H" if little else ">H", head, 16)
        if kind == 4:
            return "xen-dump-core" if _is_xen(head) else "elf-vmcore"
    return None


def _is_xen(head: bytes) -> bool:
    """No program headers, but sections: only Xen's dump-core does that (docs/misc/dump-core-format.txt)."""
    if len(head) < 64:
        return False
    if head[4:6] != b"\x02\x01":
        return False
    (phoff,) = struct.unpack_from("<Q", head, 32)
    phnum, _, shnum = struct.unpack_from("<HHH", head, 56)
    return bool(phnum == 0 and phoff == 0 and shnum >= 4)


def compression(head: bytes) -> str | None:
    """gzip, bzip2, xz, zstd, lz4, compress or tar, told by the first 512 bytes; None for anything else."""
    if head[:3] == b"\x1f\x8b\x08":
        return "gzip"
    if head[:3] == b"BZh" and head[4:10] == b"\x31\x41\x59\x26\x53\x59":
        return "bzip2"
    if head[:6] == b"\xfd7zXZ\0":
        return "xz"
    if head[:4] == b"\x28\xb5\x2f\xfd" or (head[1:4] == b"\x2a\x4d\x18" and 0x50 <= head[0] <= 0x5F):
        return "zstd"
    if head[:4] == b"\x04\x22\x4d\x18":
        return "lz4"
    if head[257:262] == b"ustar":
        return "tar"
    return None
