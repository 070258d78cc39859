"""What a fix changes, told by its files: which driver, which architecture's code, and whether a crash shows any of it.

A machine without the driver, or of another architecture, does not have the defect; a crash that shows nothing of the
mended code is that of a victim. Of drivers only folders whose drivers are modules in every distribution are looked at;
a core that others build on ("core/", "v4l2-core/") and the devices of hypervisors may be built in. The words are taken
generously: one of them that is part of a loaded module's name means that the driver may be there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

_MODULAR = (
    "drivers/net/",
    "drivers/gpu/drm/",
    "drivers/infiniband/",
    "drivers/media/",
    "drivers/bluetooth/",
    "drivers/staging/",
    "sound/",
)
_CORES = re.compile(
    r"/(?:[\w-]*core|hyperv|common|helpers?|phy|mdio|bonding|hda|drm/display|scheduler|ttm)/|drivers/net/[^/]*(?:core|phy|dummy|loopback|tun|veth|virtio|xen)[\w-]*\.c|/drm/[^/]*$"
)
_SHARED_NAMES = frozenset(
    """
    drivers net ethernet wireless gpu drm infiniband media sound hw sw ulp usb pci pcie soc dma main init module
    intel broadcom realtek mediatek marvell qualcomm freescale mellanox chelsio cavium amazon google microsoft
    common core base bus platform video audio staging codecs generic isa spi i2c display
    """.split()  # noqa: SIM905 - a list is unreadable
)


def driver_words(files: Sequence[str]) -> tuple[str, ...]:
    """Words of which every module that is built from the files has one; empty where that cannot be told."""
    sources = [file for file in files if file.endswith(".c")]
    if not sources or not all(file.startswith(_MODULAR) and not _CORES.search(file) for file in sources):
        return ()
    found: dict[str, None] = {}
    for file in sources:
        own = [word for word in _words(file) if word not in _SHARED_NAMES]
        if not own:
            return ()
        found.update(dict.fromkeys(own))
    return tuple(found)


def _words(file: str) -> list[str]:
    *folders, name = file.replace("-", "_").lower().split("/")
    stem = name.rpartition(".")[0]
    pieces = [piece for piece in stem.split("_") if len(piece) > 3 and not piece.isdigit()]
    return [*folders, stem, stem.split("_")[0], *pieces]


_MACHINES = {
    "x86": ("x86_64", "i386"),
    "arm64": ("aarch64",),
    "powerpc": ("ppc64le", "ppc64", "ppc"),
    "s390": ("s390x",),
    "riscv": ("riscv64", "riscv32"),
    "loongarch": ("loongarch64",),
}
"""Folders of arch/ -> machines as uname -m prints them; others are known by their folder's name."""


def machines_of(files: Sequence[str]) -> tuple[str, ...]:
    """The machines that the mended code runs on; empty where it is not that of architectures alone."""
    folders = {file.split("/", 2)[1] for file in files if file.startswith("arch/") and file.count("/") > 1}
    if not folders or not all(file.startswith("arch/") for file in files):
        return ()
    return tuple(machine for folder in sorted(folders) for machine in _MACHINES.get(folder, (folder,)))


class MendedCode:
    """Tells whether a crash shows code of the folders that a fix changes. `homes`: function -> files that define it."""

    def __init__(self, homes: Mapping[str, Sequence[str]]) -> None:
        self._homes = homes
        self._known = frozenset(file for files in homes.values() for file in files)

    def is_shown(self, files: Sequence[str], functions: Iterable[str]) -> bool:
        """Whether one of the functions is defined there.

        Where no function of the files is known, drivers alone are taken for code that a crash would show.
        """
        folders = {file.rpartition("/")[0] for file in files}
        if any(home.rpartition("/")[0] in folders for name in functions for home in self._homes.get(name, ())):
            return True
        return self._known.isdisjoint(files) and not any(file.startswith(("drivers/", "sound/")) for file in files)
