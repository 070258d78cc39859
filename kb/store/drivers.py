"""Which driver a fix is in, told by the files that it changes: so that a machine without it can be told apart.

Only folders whose drivers are modules in every distribution are looked at; a core that others build on ("core/",
"v4l2-core/") may be built in. The words are taken generously: one of them that is part of a loaded module's name means
that the driver may be there.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

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
    r"/(?:[\w-]*core|common|helpers?|phy|mdio|bonding|hda|drm/display|scheduler|ttm)/|drivers/net/[^/]*(?:core|phy|dummy|loopback|tun|veth)\w*\.c|/drm/[^/]*$"
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
