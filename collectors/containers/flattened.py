"""makedumpfile's flattened format (-F): a stream of pieces that say where they belong.

Source: makedumpfile.h (`struct makedumpfile_header`, `struct makedumpfile_data_header`), IMPLEMENTATION.
Numbers are big-endian; a header of 4096 bytes, then (offset, size, bytes) until offset = size = -1. Pieces
may come in any order, and a later one replaces what an earlier one wrote (makedumpfile goes back to complete
its headers).
"""

from __future__ import annotations

import heapq
import struct
from array import array
from bisect import bisect_right
from collections.abc import Iterator

from kbmatch.collectors.containers.source import ByteSource
from kbmatch.engine.errors import DamagedDump, UnsupportedFormat

MAGIC = b"makedumpfile\0"
HEADER_SIZE = 4096
# Three numbers a piece are kept: 50 MB. makedumpfile writes pieces of 64 KiB, QEMU of 16 KiB and more.
MAX_PIECES = 1 << 21
MAX_OFFSET = 1 << 56
_PIECE = struct.Struct(">qq")


class FlattenedSource:
    """The file that the stream describes, read through an index of its pieces. Satisfies ByteSource.

    What no piece wrote reads as zeros, as in the file that `makedumpfile -R` would make. `problems` tells of
    a cut stream.
    """

    def __init__(self, stream: ByteSource) -> None:
        self._stream = stream
        self.name = stream.name
        self.problems: list[str] = []
        head = stream.read(0, 32)
        if head[:13] != MAGIC or len(head) < 32:
            raise DamagedDump(f"{self.name}: the header of the flattened dump is cut")
        kind, version = struct.unpack_from(">qq", head, 16)
        if kind != 1 or version != 1:
            raise UnsupportedFormat(
                f"{self.name}: flattened dump of type {kind}, version {version}; rearrange it first:"
                " makedumpfile -R vmcore < FILE"
            )
        self._offsets, self._sizes, self._positions = self._index()
        self.size = max((o + s for o, s in zip(self._offsets, self._sizes, strict=True)), default=0)
        self._untangle()

    def _index(self) -> tuple[array[int], array[int], array[int]]:
        offsets, sizes, positions = array("Q"), array("Q"), array("Q")
        stream, position = self._stream, HEADER_SIZE
        while True:
            header = stream.read(position, _PIECE.size)
            if len(header) < _PIECE.size:
                self._cut(position)
                break
            offset, size = _PIECE.unpack(header)
            if offset == -1 and size == -1:
                break
            position += _PIECE.size
            if not (0 <= offset < MAX_OFFSET and 0 < size < MAX_OFFSET):
                self.problems.append(
                    f"byte {position - 16}: a piece for offset {offset} of {size} bytes is nonsense; the rest is lost"
                )
                break
            if len(offsets) >= MAX_PIECES:
                raise UnsupportedFormat(
                    f"{self.name}: more than {MAX_PIECES} pieces; rearrange it first: makedumpfile -R vmcore < FILE"
                )
            present = min(size, stream.size - position)
            if present > 0:
                offsets.append(offset)
                sizes.append(present)
                positions.append(position)
            if present < size:
                self._cut(stream.size)
                break
            position += size
        return offsets, sizes, positions

    def _cut(self, position: int) -> None:
        self.problems.append(f"dump is truncated at byte {position}: the flattened stream has no end mark")

    def _untangle(self) -> None:
        """Sort the pieces by offset; where they overlap, the later one stays."""
        offsets, sizes = self._offsets, self._sizes
        if all(offsets[n] + sizes[n] <= offsets[n + 1] for n in range(len(offsets) - 1)):
            return
        order = sorted(range(len(offsets)), key=offsets.__getitem__)
        new = (array("Q"), array("Q"), array("Q"))
        active: list[int] = []  # negated piece numbers: the latest first
        upcoming = 0
        at = 0
        while active or upcoming < len(order):
            if not active:
                at = max(at, offsets[order[upcoming]])
            while upcoming < len(order) and offsets[order[upcoming]] <= at:
                heapq.heappush(active, -order[upcoming])
                upcoming += 1
            while active and offsets[-active[0]] + sizes[-active[0]] <= at:
                heapq.heappop(active)
            if not active:
                continue
            best = -active[0]
            end = offsets[best] + sizes[best]
            # It reaches to its end, or to where a later one begins.
            if upcoming < len(order):
                end = min(end, offsets[order[upcoming]])
            if end > at:
                new[0].append(at)
                new[1].append(end - at)
                new[2].append(self._positions[best] + at - offsets[best])
            at = end
        self._offsets, self._sizes, self._positions = new

    def read(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes of the described file; zeros where no piece wrote."""
        length = min(length, self.size - offset)
        if length <= 0 or offset < 0:
            return b""
        index = bisect_right(self._offsets, offset) - 1
        if index >= 0:
            within = offset - self._offsets[index]
            if within + length <= self._sizes[index]:
                return self._stream.read(self._positions[index] + within, length)
        out = bytearray(length)
        for n in range(max(index, 0), len(self._offsets)):
            start = self._offsets[n]
            if start >= offset + length:
                break
            low, high = max(start, offset), min(start + self._sizes[n], offset + length)
            if low < high:
                data = self._stream.read(self._positions[n] + low - start, high - low)
                out[low - offset : low - offset + len(data)] = data
        return bytes(out)

    def data_extents(self, start: int = 0) -> Iterator[tuple[int, int]]:
        """The ranges that pieces wrote, neighbours joined."""
        begin = end = -1
        for n in range(max(bisect_right(self._offsets, start) - 1, 0), len(self._offsets)):
            low, high = max(self._offsets[n], start), self._offsets[n] + self._sizes[n]
            if low >= high:
                continue
            if low == end:
                end = high
                continue
            if begin >= 0:
                yield begin, end
            begin, end = low, high
        if begin >= 0:
            yield begin, end

    def close(self) -> None:
        """Close the stream."""
        self._stream.close()
