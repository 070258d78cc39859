"""The page bitmap of kdump-compressed files: is a page there, and how many are before it.

A page's descriptor stands at the number of set bits before its own, and the format has no index: bits are
counted forward, lazily, up to the highest page asked for, chunk by chunk, holes of sparse files skipped. A
dump of 1 TiB has a bitmap of 32 MiB; most lookups need its beginning only.
"""

from __future__ import annotations

from collections.abc import Iterator

from kbmatch.collectors.containers.source import ByteSource

CHUNK = 1 << 16
# 4 KiB of bitmap: 32768 pages, 128 MiB of memory.
_LINE = 4096
_KEPT_LINES = 64


class PageBitmap:
    """Bits of `length` bytes at `offset` of the source, least significant first."""

    def __init__(self, source: ByteSource, offset: int, length: int) -> None:
        self._source = source
        self._offset = offset
        self._length = max(0, min(length, source.size - offset))
        self._before = [0]  # set bits before line n
        self._lines: dict[int, bytes] = {}

    def is_set(self, bit: int) -> bool:
        """Whether the bit is set; bits behind the end are not."""
        byte = bit >> 3
        if bit < 0 or byte >= self._length:
            return False
        line = self._line(byte // _LINE)
        within = byte % _LINE
        return within < len(line) and bool(line[within] >> (bit & 7) & 1)

    def rank(self, bit: int) -> int:
        """The number of set bits before `bit`."""
        byte = min(bit >> 3, self._length)
        number, within = divmod(byte, _LINE)
        self._count_to(number)
        line = self._line(number)
        count = self._before[number] + int.from_bytes(line[:within], "little").bit_count()
        if bit & 7 and within < len(line) and byte == bit >> 3:
            count += (line[within] & (1 << (bit & 7)) - 1).bit_count()
        return count

    def _line(self, number: int) -> bytes:
        line = self._lines.get(number)
        if line is None:
            start = number * _LINE
            line = self._source.read(self._offset + start, min(_LINE, self._length - start))
            if len(self._lines) >= _KEPT_LINES:
                self._lines.clear()
            self._lines[number] = line
        return line

    def _count_to(self, line: int) -> None:
        before = self._before
        data_end = data_start = -1
        while len(before) <= line:
            position = (len(before) - 1) * _LINE
            start = self._offset + position
            if data_end <= start:
                data_start, data_end = next(iter(self._source.data_extents(start)), (1 << 63, 1 << 63))
            hole = (min(data_start, self._offset + line * _LINE) - start) // _LINE
            if hole > 0:
                before.extend([before[-1]] * hole)
                continue
            data = self._source.read(start, min(CHUNK, (line + 1 - len(before)) * _LINE))
            for low in range(0, max(len(data), 1), _LINE):
                piece = data[low : low + _LINE]
                before.append(before[-1] + int.from_bytes(piece, "little").bit_count())

    def runs(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        """Runs (first bit, bit behind the last) of set bits between `first` and `last`, ascending."""
        begin = -1
        end = min(last, self._length * 8)
        position = first // 8
        for low, high in self._source.data_extents(self._offset + position):
            stop = min(high - self._offset, end + 7 >> 3)
            if low - self._offset > position:
                if begin >= 0:  # a hole is zeros: the run ends where it begins
                    if max(begin, first) < min(position * 8, end):
                        yield max(begin, first), min(position * 8, end)
                    begin = -1
                position = low - self._offset
            while position < stop:
                data = self._source.read(self._offset + position, min(CHUNK, stop - position))
                if not data:
                    break
                for bit, is_set in _edges(data, position * 8):
                    if is_set and begin < 0:
                        begin = bit
                    elif not is_set and begin >= 0:
                        if max(begin, first) < min(bit, end):
                            yield max(begin, first), min(bit, end)
                        begin = -1
                position += len(data)
            if position * 8 >= end:
                break
        if begin >= 0 and max(begin, first) < end:
            yield max(begin, first), end


def _edges(data: bytes, base: int) -> Iterator[tuple[int, bool]]:
    """(bit, its state) wherever the state may change; runs of whole 0x00 and 0xff bytes are jumped over."""
    position = 0
    while position < len(data):
        value = data[position]
        if value in (0, 0xFF):
            yield base + position * 8, value != 0
            rest = data[position : position + 4096]
            position += len(rest) - len(rest.lstrip(rest[:1])) or 1
        else:
            for bit in range(8):
                yield base + position * 8 + bit, bool(value >> bit & 1)
            position += 1
