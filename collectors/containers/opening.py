"""From files to a container: unpacking, recognising, joining split sets."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from kbmatch.collectors.containers.identify import HEAD, compression, identify
from kbmatch.collectors.containers.source import ByteSource, FileSource
from kbmatch.engine.errors import InputError, NotACrashFile, UnreadableInput, UnsupportedFormat

if TYPE_CHECKING:
    from pathlib import Path

    from kbmatch.collectors.containers.container import Container
    from kbmatch.collectors.containers.kdump_compressed import KdumpCompressed
    from kbmatch.collectors.containers.unpack import Progress

_LOOK = 8192


def open_source(
    path: str | Path, max_unpacked: int | None = None, progress: Progress | None = None
) -> tuple[ByteSource, list[str]]:
    """The content of a file ("-": standard input), unpacked if need be, and lines about damage. Not only for dumps.

    Raises UnreadableInput, UnsupportedFormat (over `max_unpacked` bytes), DamagedDump.
    """
    problems: list[str] = []
    if str(path) == "-":
        from kbmatch.collectors.containers.unpack import spool

        source: ByteSource = spool(sys.stdin.buffer, "-", max_unpacked, progress, 0, problems)
    else:
        source = FileSource(path)
    try:
        if compression(source.read(0, 512)) is not None:
            from kbmatch.collectors.containers.unpack import unpack

            source, more = unpack(source, _is_dump, max_unpacked, progress)
            problems += more
    except BaseException:
        source.close()
        raise
    return source, problems


def _is_dump(head: bytes, size: int) -> bool:
    return identify(head, size) is not None


def open_container(source: ByteSource) -> Container:
    """The container in `source`, which it owns from now on.

    Raises NotACrashFile for what is no dump, UnsupportedFormat, DamagedDump, UnreadableInput; `source` is
    closed then.
    """
    try:
        head = source.read(0, HEAD)
        kind = identify(head, source.size)
        if kind == "elf-vmcore":
            from kbmatch.collectors.containers.elf_vmcore import ElfVmcore

            return ElfVmcore(source)
        if kind == "kdump-compressed":
            from kbmatch.collectors.containers.kdump_compressed import KdumpCompressed

            return KdumpCompressed(source)
        if kind == "kdump-flattened":
            from kbmatch.collectors.containers.flattened import FlattenedSource

            flat = FlattenedSource(source)
            if identify(flat.read(0, HEAD), flat.size) == kind:
                raise NotACrashFile(f"{source.name}: a flattened dump in a flattened dump")
            container = open_container(flat)
            container.format = kind
            container.size = source.size
            container.problems[:0] = flat.problems
            return container
        if kind == "xen-dump-core":
            from kbmatch.collectors.containers.xen_core import XenCore

            return XenCore(source)
        raise _no_dump(source)
    except BaseException:
        source.close()
        raise


def _no_dump(source: ByteSource) -> InputError:
    from kbmatch.collectors.containers.unsupported import explain

    known = explain(source.read(0, _LOOK), source.size)
    if known is not None:
        return UnsupportedFormat(f"{source.name}: a {known[0]}, which kbmatch does not read; {known[1]}")
    if source.size == 0:
        return NotACrashFile(f"{source.name}: the file is empty")
    return NotACrashFile(f"{source.name}: not a kernel dump that kbmatch knows")


def open_files(
    paths: Sequence[str | Path], max_unpacked: int | None = None, progress: Progress | None = None
) -> Container:
    """The dump in one file, or in several that are pieces of one split set.

    Pieces that lie beside a single one are found. Raises what `open_container` raises.
    """
    if not paths:
        raise UnreadableInput("no file named")
    containers: list[Container] = []
    try:
        for path in paths:
            source, problems = open_source(path, max_unpacked, progress)
            container = open_container(source)
            containers.append(container)
            container.problems[:0] = problems
        return join_pieces(list(paths), containers)
    except BaseException:
        for container in containers:
            container.close()
        raise


def join_pieces(paths: list[str | Path], containers: list[Container]) -> Container:
    """One container of the pieces of a split dump; a single one gets the pieces that lie beside it.

    Anything but a piece is given back as it is. Raises UnsupportedFormat for what does not belong together.
    """
    first = containers[0]
    if len(containers) == 1 and first.format not in ("kdump-compressed", "kdump-flattened"):
        return first
    from kbmatch.collectors.containers.kdump_compressed import KdumpCompressed

    if len(containers) == 1 and not (isinstance(first, KdumpCompressed) and first.header.split):
        return first
    from kbmatch.collectors.containers.split_set import SplitSet, find_siblings, same_dump

    pieces: list[KdumpCompressed] = []
    for path, container in zip(paths, containers, strict=True):
        if not isinstance(container, KdumpCompressed) or not container.header.split:
            raise UnsupportedFormat(f"{path}: not a piece of a split dump; name one dump at a time")
        if pieces and not same_dump(pieces[0].header, container.header):
            raise UnsupportedFormat(f"{path}: a piece of another dump than {paths[0]}")
        pieces.append(container)
    if len(pieces) == 1 and str(paths[0]) != "-":
        for path in find_siblings(paths[0], pieces[0].header):
            sibling = open_container(FileSource(path))
            if (
                isinstance(sibling, KdumpCompressed)
                and sibling.vmcoreinfo in (None, pieces[0].vmcoreinfo)
                and all(p.first_pfn != sibling.first_pfn for p in pieces)
            ):
                pieces.append(sibling)
            else:
                sibling.close()
    return SplitSet(pieces)
