"""Dumps as they arrive with a ticket: .gz .bz2 .xz .zst, .tar and .tar.*, or through a pipe.

They are unpacked, sparse, into a temporary file without a name. Free space is watched while that goes on, and
`limit` ends a bomb. A dump inside a plain .tar is read where it lies.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable, Iterator
from typing import IO, TYPE_CHECKING

from kbmatch.collectors.containers.identify import compression
from kbmatch.collectors.containers.source import ByteSource, FileSource, SourceStream, WindowSource
from kbmatch.engine.errors import DamagedDump, UnreadableInput, UnsupportedFormat

if TYPE_CHECKING:
    import tarfile

Progress = Callable[[int, int], None]
"""Called with (bytes unpacked so far, packed size in bytes or 0) now and then."""

BLOCK = 1 << 20
# Room that is left for others on the file system.
RESERVE = 64 << 20
MAX_DEPTH = 3
_HOLE = 1 << 16
_ZEROS = bytes(_HOLE)
_SPACE_CHECK = 16 << 20


def default_limit() -> int:
    """Twice the machine's memory: more than any dump of a machine of that size."""
    try:
        return 2 * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return 64 << 30


def unpack(
    source: ByteSource, wanted: Callable[[bytes, int], bool], limit: int | None = None, progress: Progress | None = None
) -> tuple[ByteSource, list[str]]:
    """The innermost file of `source` and lines about damage.

    The source itself (which goes over to the result) where nothing is packed. Of an archive, the first member
    of which `wanted(head, size)` is true, else the first that is named like a kernel log. Raises
    UnsupportedFormat (over `limit` bytes, a library that is missing), UnreadableInput (no space, I/O),
    DamagedDump (nothing could be unpacked).
    """
    limit = default_limit() if limit is None else limit
    problems: list[str] = []
    for _ in range(MAX_DEPTH):
        kind = compression(source.read(0, 512))
        if kind is None:
            return source, problems
        if kind == "tar":
            source = _from_tar(source, wanted, limit, problems, progress)
            continue
        with _decompressor(kind, source) as stream:
            unpacked = spool(stream, source.name, limit, progress, source.size, problems)
        source.close()
        source = unpacked
    return source, problems


def spool(
    stream: IO[bytes],
    name: str,
    limit: int | None = None,
    progress: Progress | None = None,
    packed: int = 0,
    problems: list[str] | None = None,
) -> FileSource:
    """Everything in `stream`, in a temporary file without a name. What was whole of a cut one, with a problem line."""
    from tempfile import TemporaryFile

    limit = default_limit() if limit is None else limit
    with TemporaryFile(prefix="kbmatch-", dir=_folder()) as target:
        descriptor = target.fileno()
        done = checked = 0
        blocks = _blocks(stream, name, problems)
        for block in blocks:
            done += len(block)
            if done > limit:
                raise UnsupportedFormat(
                    f"{name}: unpacks to more than {limit} bytes; if that is right, raise --max-unpacked"
                )
            if done - checked >= _SPACE_CHECK or not checked:
                checked = done
                _check_space(descriptor, name, len(block))
                if progress is not None:
                    progress(done, packed)
            _write_sparse(descriptor, block, done - len(block), name)
        os.ftruncate(descriptor, done)
        return FileSource(name, os.dup(descriptor))


def _blocks(stream: IO[bytes], name: str, problems: list[str] | None) -> Iterator[bytes]:
    """Blocks of 1 MiB; what came before an error is kept."""
    import lzma
    import zlib

    damage: tuple[type[Exception], ...] = (OSError, EOFError, zlib.error, lzma.LZMAError, ValueError)
    with contextlib.suppress(UnsupportedFormat):
        from kbmatch.collectors.containers.zstd import library

        damage = (*damage, library()[1].ZstdError)
    # `read` would throw away what it has when the end is missing.
    read = getattr(stream, "read1", stream.read)
    done = 0
    block = bytearray()
    while True:
        try:
            piece = read(BLOCK)
        except damage as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise UnreadableInput(f"{name}: cannot be read: {error.strerror}") from error
            if not done + len(block):
                raise DamagedDump(f"{name}: cannot be unpacked: {error}") from error
            if problems is not None:
                problems.append(
                    f"the compressed file is cut or damaged: {done + len(block)} bytes could be unpacked ({error})"
                )
            piece = b""
        block += piece
        if len(block) >= BLOCK or (block and not piece):
            done += len(block)
            yield bytes(block)
            block.clear()
        if not piece:
            return


def _write_sparse(descriptor: int, block: bytes, offset: int, name: str) -> None:
    view = memoryview(block)
    for start in range(0, len(block), _HOLE):
        piece = view[start : start + _HOLE]
        if piece == _ZEROS[: len(piece)]:
            continue
        try:
            written = os.pwrite(descriptor, piece, offset + start)
            while written < len(piece):
                written += os.pwrite(descriptor, piece[written:], offset + start + written)
        except OSError as error:
            raise UnreadableInput(
                f"{name}: no room to unpack it in {_folder()}: {error.strerror}; set TMPDIR to a larger place"
            ) from error


def _check_space(descriptor: int, name: str, coming: int) -> None:
    try:
        free = os.fstatvfs(descriptor)
    except OSError:
        return
    if free.f_bavail * free.f_frsize < RESERVE + coming + _SPACE_CHECK:
        raise UnreadableInput(f"{name}: no room to unpack it in {_folder()}; set TMPDIR to a larger place")


def _folder() -> str | None:
    """$TMPDIR, else /var/tmp: /tmp is often memory."""
    if os.environ.get("TMPDIR"):
        return None
    return "/var/tmp" if os.access("/var/tmp", os.W_OK) else None  # noqa: S108


def _decompressor(kind: str, source: ByteSource) -> IO[bytes]:
    raw = SourceStream(source)
    if kind == "gzip":
        import gzip

        return gzip.GzipFile(fileobj=raw)  # type: ignore[return-value]
    if kind == "xz":
        import lzma

        return lzma.LZMAFile(io.BufferedReader(raw))
    if kind == "bzip2":
        import bz2

        return bz2.BZ2File(raw)
    if kind == "zstd":
        from kbmatch.collectors.containers.zstd import open_stream

        return open_stream(raw)
    raise UnsupportedFormat(f"{source.name}: compressed with {kind}; unpack it first ({kind} -d FILE)")


def _from_tar(
    source: ByteSource,
    wanted: Callable[[bytes, int], bool],
    limit: int,
    problems: list[str],
    progress: Progress | None,
) -> ByteSource:
    import tarfile

    fallback: tarfile.TarInfo | None = None
    try:
        with tarfile.open(fileobj=SourceStream(source), mode="r:") as archive:
            for number, member in enumerate(archive):
                if not member.isreg() or member.size == 0:
                    continue
                if number > 100_000:
                    break
                handle = archive.extractfile(member)
                head = handle.read(4096) if handle is not None else b""
                if wanted(head, member.size) or (compression(head) is not None and _named_like_dump(member.name)):
                    return _member(archive, member, source, limit, problems, progress)
                if fallback is None and ("dmesg" in member.name or member.name.endswith((".log", ".txt"))):
                    fallback = member
            if fallback is not None:
                return _member(archive, fallback, source, limit, problems, progress)
    except tarfile.TarError as error:
        raise DamagedDump(f"{source.name}: the archive cannot be read: {error}") from error
    raise UnsupportedFormat(f"{source.name}: an archive without a kernel dump or log in it")


def _named_like_dump(name: str) -> bool:
    name = name.rsplit("/", 1)[-1].lower()
    return any(word in name for word in ("core", "dump", "dmesg"))


def _member(
    archive: tarfile.TarFile,
    member: tarfile.TarInfo,
    source: ByteSource,
    limit: int,
    problems: list[str],
    progress: Progress | None,
) -> ByteSource:
    name = f"{source.name}:{member.name}"
    if not member.issparse():
        if member.offset_data + member.size > source.size:
            problems.append(f"the archive is cut: {member.name} is not whole")
        return WindowSource(source, name, member.offset_data, member.size)
    handle = archive.extractfile(member)
    if handle is None:
        raise DamagedDump(f"{name}: cannot be read")
    spooled = spool(handle, name, limit, progress, source.size, problems)
    source.close()
    return spooled
