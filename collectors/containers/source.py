"""Bytes of a dump file, read by offset: only what is asked for, never past the end, never through a mapping.

`pread` instead of `mmap`: a file that shrinks (NFS, a copy still running) gives a short read and a clear
message where a mapping would kill the process with SIGBUS, and touched pages of a mapping count as peak
memory (docs/adr/0001-reading-dumps.md).
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from kbmatch.engine.errors import UnreadableInput


class ByteSource(Protocol):
    """A file-like thing read by offset. `size` is in bytes; `name` is for messages."""

    name: str
    size: int

    def read(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes from `offset`; fewer (or none) where the source ends."""
        ...

    def data_extents(self, start: int = 0) -> Iterator[tuple[int, int]]:
        """Byte ranges (start, end), ascending from `start`, that may hold anything but zeros (no holes)."""
        ...

    def close(self) -> None:
        """Give the file back."""
        ...


class FileSource:
    """A regular file or block device, or an open descriptor of one (which is then owned).

    `bytes_read` counts what was asked of the file system. Raises UnreadableInput on any I/O error.
    """

    def __init__(self, path: str | Path, descriptor: int | None = None) -> None:
        self.name = str(path)
        self.bytes_read = 0
        self._fd = -1
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC) if descriptor is None else descriptor
            self.size = os.lseek(self._fd, 0, os.SEEK_END)
        except OSError as error:
            self.close()
            raise UnreadableInput(f"{self.name}: cannot be read: {error.strerror}") from error
        if hasattr(os, "posix_fadvise"):
            # Reads are scattered: without this every small one pulls 128 KiB from the disk.
            # An optimisation only: pipes and strange file systems may refuse.
            with contextlib.suppress(OSError):
                os.posix_fadvise(self._fd, 0, 0, os.POSIX_FADV_RANDOM)

    def read(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes from `offset`; fewer where the file ends."""
        length = min(length, self.size - offset)
        if length <= 0 or offset < 0:
            return b""
        try:
            data = os.pread(self._fd, length, offset)
            while 0 < len(data) < length:
                more = os.pread(self._fd, length - len(data), offset + len(data))
                if not more:
                    break
                data += more
        except OSError as error:
            raise UnreadableInput(f"{self.name}: offset {offset}: cannot be read: {error.strerror}") from error
        self.bytes_read += len(data)
        return data

    def data_extents(self, start: int = 0) -> Iterator[tuple[int, int]]:
        """Ranges of the file that are no holes (lseek SEEK_DATA); the whole file where holes cannot be"
        " told.
        """
        position = start
        while position < self.size:
            try:
                begin = os.lseek(self._fd, position, os.SEEK_DATA)
                end = os.lseek(self._fd, begin, os.SEEK_HOLE)
            except OSError as error:
                if error.errno != errno.ENXIO:  # ENXIO: only a hole follows
                    yield position, self.size
                return
            if end <= begin:
                return
            yield begin, min(end, self.size)
            position = end

    def close(self) -> None:
        """Close the descriptor; harmless when done twice."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class BytesSource:
    """Bytes in memory, for tests and small embedded pieces."""

    def __init__(self, data: bytes, name: str = "<bytes>") -> None:
        self.name = name
        self.size = len(data)
        self.bytes_read = 0
        self._data = data

    def read(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes from `offset`."""
        if offset < 0 or length <= 0:
            return b""
        data = self._data[offset : offset + length]
        self.bytes_read += len(data)
        return data

    def data_extents(self, start: int = 0) -> Iterator[tuple[int, int]]:
        """All from `start` on."""
        if start < self.size:
            yield start, self.size

    def close(self) -> None:
        """Nothing to give back."""


class WindowSource:
    """A part of another source, as a member of an archive. Owns the other one."""

    def __init__(self, whole: ByteSource, name: str, start: int, size: int) -> None:
        self.name = name
        self._whole = whole
        self._start = start
        self.size = max(0, min(size, whole.size - start))

    def read(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes from `offset` of the part."""
        length = min(length, self.size - offset)
        return self._whole.read(self._start + offset, length) if length > 0 and offset >= 0 else b""

    def data_extents(self, start: int = 0) -> Iterator[tuple[int, int]]:
        """The part of the other's extents."""
        for low, high in self._whole.data_extents(self._start + start):
            if low >= self._start + self.size:
                return
            yield low - self._start, min(high - self._start, self.size)

    def close(self) -> None:
        """Close the whole."""
        self._whole.close()


class SourceStream(io.RawIOBase):
    """A source as a seekable binary stream, for the decompressors of the standard library. Does not own the source."""

    def __init__(self, source: ByteSource) -> None:
        super().__init__()
        self._source = source
        self._position = 0

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Fill the buffer from the position on; 0 at the end."""
        data = self._source.read(self._position, len(buffer))
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """As files do."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._source.size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        """The position."""
        return self._position
