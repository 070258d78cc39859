"""From a file to its container."""

from __future__ import annotations

from collections.abc import Callable

from kbmatch.collectors.containers.container import Container
from kbmatch.collectors.containers.elf_vmcore import ElfVmcore
from kbmatch.collectors.containers.identify import HEAD, identify
from kbmatch.collectors.containers.kdump_compressed import KdumpCompressed
from kbmatch.collectors.containers.source import ByteSource
from kbmatch.engine.errors import NotACrashFile

_OPENERS: dict[str, Callable[[ByteSource], Container]] = {
    "elf-vmcore": ElfVmcore,
    "kdump-compressed": KdumpCompressed,
}


def open_container(source: ByteSource) -> Container:
    """The container in `source`, which it owns from now on.

    Raises NotACrashFile for what is no dump, UnsupportedFormat, DamagedDump, UnreadableInput; `source` is
    closed then.
    """
    try:
        kind = identify(source.read(0, HEAD), source.size)
        opener = _OPENERS.get(kind) if kind else None
        if opener is None:
            raise NotACrashFile(f"{source.name}: not a kernel dump that kbmatch knows")
        return opener(source)
    except BaseException:
        source.close()
        raise
