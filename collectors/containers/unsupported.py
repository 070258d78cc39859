"""Dump formats that kbmatch knows by sight but does not read, and what to do instead.

Sources: crash's vmware_vmss.h, lkcd_dump_*.h, sadump.h, LiME's disk.c, QEMU's migration/savevm.c, libvirt's
qemu_saveimage.h, kernel/power/swap.c, Microsoft's DUMP_HEADER, Xen's xc_core of 3.0.
"""

from __future__ import annotations

import struct

_LOG = "extract the log with crash (log > dmesg.txt) and run kbmatch on the text"


def explain(head: bytes, size: int) -> tuple[str, str] | None:
    """(format, what to do instead) for a known but unread format, None for anything else.

    `head` is the beginning of the file, 8 KiB or more where the file has as much; `size` its size in bytes.
    """
    if len(head) < 16:
        return None
    (word,) = struct.unpack_from("<I", head)
    if word in (0xBED0BED0, 0xBED2BED2, 0xBED3BED3, 0xBAD1BAD1, 0xBAD2BAD2):
        return "VMware suspend state (.vmss/.vmsn)", f"open it with crash (the .vmem file beside it) and {_LOG}"
    (long_word,) = struct.unpack_from("<Q", head)
    if long_word == 0xA8190173618F23ED:
        return "LKCD dump", f"open it with crash and {_LOG}"
    if long_word in (0xA8190173618F23FD, 0xA8190173618F23CD):
        return "s390 or live LKCD dump", f"open it with crash and {_LOG}"
    if head[:8] == b"DISKDUMP":
        return "diskdump (2.4/2.6 kernels)", f"open it with crash and {_LOG}"
    if head[:8] == b"sadump\0\0":
        return "sadump", f"convert it: makedumpfile -l -d 31 FILE vmcore, or open it with crash and {_LOG}"
    if head[:4] == b"EMiL":
        return "LiME memory image", f"open it with crash (vmlinux FILE@0 after conversion to raw) and {_LOG}"
    if head[:4] in (b"MDMP", b"PAGE"):
        return "Windows minidump or crash dump", "it is not of a Linux kernel: use WinDbg"
    if head[:16] in (b"LibvirtQemudSave", b"LibvirtQemudPart"):
        return "libvirt save image", "dump it anew: virsh dump --memory-only --format kdump-zlib DOMAIN FILE"
    if head[:4] == b"QEVM":
        return "QEMU migration stream (virsh save, virsh dump without --memory-only)", (
            "dump it anew: virsh dump --memory-only --format kdump-zlib DOMAIN FILE, or open it with crash and " + _LOG
        )
    if head[:16] == b"LinuxGuestRecord":
        return "Xen save file (xm save)", "dump it instead: xl dump-core DOMAIN FILE"
    if head[:8] == b"\xff" * 8 and head[8:12] == b"XENF":
        return "Xen migration v2 stream (xl save)", "dump it instead: xl dump-core DOMAIN FILE"
    if word in (0xF00FEBED, 0xF00FEBEE) and len(head) >= 24:
        return "old, non-ELF Xen core", f"open it with crash and {_LOG}"
    if len(head) >= 4096 and head[4086:4096] in (b"S1SUSPEND\0", b"S2SUSPEND\0", b"ULSUSPEND\0", b"LINHIB0001"):
        return "hibernation image", "boot the machine from it (resume=), then trigger kdump; it is no crash dump"
    return None
