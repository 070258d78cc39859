"""Paths: what every Linux has stays readable, what somebody named himself does not."""

from __future__ import annotations

import re
from collections.abc import Callable

from kbmatch.kb.authoring.redaction.pseudonyms import Pseudonyms

_SYSTEM = re.compile(
    r"/(?:proc|sys|devices|class|bus|kernel|bin|sbin|lib|lib32|lib64|boot|run/systemd|var/lib/(?:systemd|dpkg|rpm)|"
    r"usr/(?:bin|sbin|lib|lib64|libexec|include|share|src)|"
    r"etc/(?:systemd|udev|modprobe\.d|sysctl\.d|fstab|passwd|shadow|group|hosts|resolv\.conf|os-release|machine-id|"
    r"kdump\.conf|default|selinux|pam\.d|ssh|ssl|init\.d|rc\.d))(?:/|$)"
)
_PLAIN_DEVICE = re.compile(
    r"/dev/(?:(?:[a-z]{1,12}\d{0,4}[a-z]{0,2}\d{0,3}|nvme\d+n\d+(?:p\d+)?|shm|net/tun|mapper/control|vfio|dri|input|"
    r"cpu_dma_latency|mapper|disk|disk/by-[a-z]+|vfio/\d+|dri/\w+|input/\w+|pts/\d+|md/?\d*|loop\d+|md\d+)/?)$"
)
_SOURCE_TAIL = re.compile(r":\d+|!|\"|'|\)|,|;|$|\s")
_SOURCE = re.compile(r"\.(?:c|h|S|rs|cc|cpp|hpp)$")
_SOURCE_TOPS = frozenset(
    {
        "arch", "block", "certs", "crypto", "drivers", "fs", "include", "init", "io_uring", "ipc", "kernel",
        "lib", "mm", "net", "rust", "samples", "scripts", "security", "sound", "tools", "usr", "virt",
    }
)  # fmt: skip
_WORDS = frozenset(
    {
        "home", "root", "mnt", "media", "srv", "opt", "tmp", "var", "run", "etc", "usr", "local", "log", "lib",
        "cache", "spool", "mail", "www", "html", "data", "dev", "share", "bin", "crash", "export", "exports",
        "nfs", "vmcore", "dmesg", "core", "dump", "dumps", "messages", "syslog", "kern", "journal",
        "containers", "docker", "kubelet", "pods", "volumes", "kubernetes", "overlay", "overlay2", "diff",
        "merged", "work", "images", "qemu", "libvirt", "mysql", "pgsql", "postgresql", "oracle", "app",
        "product", "home1", "lost+found", "net", "fs", "vendor", "system", "lib64", "lib32", "sbin",
        "libexec", "block", "virtual", "mm", "kernel", "linux", "src", "build", "rpmbuild",
        "BUILD", "BUILDROOT", "debian", "boot", "efi", "EFI", "modules", "extra", "updates", "weak-updates",
        "vmlinuz", "vmlinux", "initrd", "vmlinuz.img", "initramfs", "System.map", "config", ".", "..", "disk",
        "by-id", "by-uuid", "by-path", "by-label", "mapper", "vmcore-dmesg", "vmcore-dmesg.txt", "vmcore.flat",
        "vmcore-incomplete", "dmesg.txt", "systemd", "udev", "kbmatch",
    }
)  # fmt: skip
_ENDING = re.compile(r"((?:\.[A-Za-z][A-Za-z0-9]{0,4}){1,2})$")
_CRASH_FOLDER = re.compile(r"(?P<address>\d{1,3}(?:\.\d{1,3}){3}|[\w.-]+?)-(?P<date>\d{4}-?\d\d-?\d\d[-:\d]*)$")


def hidden_path(path: str, after: str, names: Pseudonyms, known: Callable[[str], str | None]) -> str:
    """The path with each part replaced that is no common word; parts keep their ending and length.

    `after` is what follows on the line: a source file (`mm/slub.c:3500`) keeps its place in the kernel's tree. `known`
    gives the pseudonym of a user or host.
    """
    parts = path.split("/")
    if _SYSTEM.match(path) or _PLAIN_DEVICE.match(path):
        return "/".join(known(part) or part for part in parts)
    kept = _tree_start(parts) if _SOURCE.search(path) and _SOURCE_TAIL.match(after) else len(parts)
    if kept == len(parts) and parts[1:2] == ["build"] and _SOURCE.search(path):
        kept = len(parts) - 1
    hidden = [part if i >= kept else _part(part, names, known) for i, part in enumerate(parts)]
    return "/".join(hidden)


def _tree_start(parts: list[str]) -> int:
    """Where the path inside the kernel's tree begins: at its top folder, else at the file."""
    for index in range(1, len(parts) - 1):
        if parts[index] in _SOURCE_TOPS:
            return index
    return len(parts) - 1


def _part(part: str, names: Pseudonyms, known: Callable[[str], str | None]) -> str:
    if not part or part in _WORDS or part in names.originals or re.fullmatch(r"[\d.:-]+", part) or "\ue000" in part:
        return part
    if (name := known(part)) is not None:
        return name
    crash = _CRASH_FOLDER.match(part)
    if crash:
        return part
    if re.match(r"(?:vmlinuz|initrd|initramfs|System\.map|config|linux)-", part):
        return part
    ending = _ENDING.search(part)
    stem = part[: ending.start()] if ending and ending.start() else part
    return part if stem in names.originals else names.of("path", stem) + part[len(stem) :]
