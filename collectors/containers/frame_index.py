"""Which page of a Xen core is which: `.xen_pfn` and `.xen_p2m`, searched without reading them whole.

The lists mostly ascend by one in a few long runs, but not always (PVH), and hold ~0 and duplicates. Runs are
guessed by doubling steps, every answer is checked against the entry itself, and where that fails the list is
read once.
"""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_right
from collections.abc import Iterator

from kbmatch.collectors.containers.source import ByteSource

_CHUNK = 1 << 16
_MAX_GUESSED_RUNS = 4096
# Runs kept of a list that was read whole; more would be a list in random order of a huge guest.
_MAX_RUNS = 1 << 19
_NONE = (1 << 64) - 1


class FrameIndex:
    """`count` entries of `width` (8 or 16) bytes at `offset`: pfn, and with 16 bytes the machine frame."""

    def __init__(
        self,
        source: ByteSource,
        offset: int,
        width: int,
        count: int,
        assumed: list[tuple[int, int, int]] | None = None,
    ) -> None:
        """`assumed` runs (pfn, length, position) stand in for a list that is lost; nothing is read then."""
        self._source = source
        self._offset = offset
        self._width = width
        self._count = count if assumed is None else 0
        self._complete = assumed is not None
        self._machine: dict[int, int | None] = {}
        self._set_runs(self._guess_runs() if assumed is None else assumed)

    def _set_runs(self, runs: list[tuple[int, int, int]]) -> None:
        """Keep the runs disjoint: of a page that is there twice, one is enough."""
        self._pfns, self._lengths, self._positions = array("Q"), array("Q"), array("Q")
        covered = 0
        for first, length, position in sorted(runs, key=lambda run: (run[0], -run[1])):
            begin = max(first, covered)
            if begin < first + length:
                covered = first + length
                self._pfns.append(begin)
                self._lengths.append(covered - begin)
                self._positions.append(position + begin - first)

    def _entry(self, position: int) -> int:
        data = self._source.read(self._offset + position * self._width, 8)
        return int.from_bytes(data, "little") if len(data) == 8 else _NONE

    def _guess_runs(self) -> list[tuple[int, int, int]]:
        """(pfn, length, position) of runs; sure only where the list ascends without duplicates."""
        runs: list[tuple[int, int, int]] = []
        position = 0
        while position < self._count and len(runs) < _MAX_GUESSED_RUNS:
            first = self._entry(position)
            good, step = position, 1
            while good + step < self._count and self._entry(good + step) == first + good + step - position:
                good += step
                step *= 2
            while step:
                if good + step < self._count and self._entry(good + step) == first + good + step - position:
                    good += step
                step //= 2
            if first < 1 << 52:
                runs.append((first, good + 1 - position, position))
            position = good + 1
        return runs

    def position(self, pfn: int) -> int | None:
        """The number of the page that holds `pfn`, None if the core has none."""
        found = self._lookup(pfn)
        if found is not None and (self._complete or self._entry(found) == pfn):
            return found
        if self._complete:
            return None
        self._read_whole()
        return self._lookup(pfn)

    def _lookup(self, pfn: int) -> int | None:
        index = bisect_right(self._pfns, pfn) - 1
        if index >= 0 and pfn < self._pfns[index] + self._lengths[index]:
            return self._positions[index] + pfn - self._pfns[index]
        return None

    def _read_whole(self) -> None:
        runs: list[tuple[int, int, int]] = []
        position = start = 0
        expected = -1
        length = 0
        first = 0
        for chunk in self._chunks():
            values = struct.unpack(f"<{len(chunk) // 8}Q", chunk)[:: self._width // 8]
            if length and values == tuple(range(expected, expected + len(values))):
                length += len(values)
                expected += len(values)
                position += len(values)
                continue
            for value in values:
                if value == expected and length:
                    length += 1
                else:
                    if length and first < 1 << 52 and len(runs) < _MAX_RUNS:
                        runs.append((first, length, start))
                    first, length, start = value, 1, position
                expected = value + 1
                position += 1
        if length and first < 1 << 52:
            runs.append((first, length, start))
        self._complete = True
        self._set_runs(runs)

    def _chunks(self) -> Iterator[bytes]:
        end = self._offset + self._count * self._width
        for at in range(self._offset, end, _CHUNK):
            data = self._source.read(at, min(_CHUNK, end - at))
            data = data[: len(data) // self._width * self._width]
            if not data:
                return
            yield data

    def ranges(self) -> Iterator[tuple[int, int]]:
        """Ranges (first pfn, pfn behind the last), ascending and disjoint."""
        if not self._complete:
            self._read_whole()
        for first, length in zip(self._pfns, self._lengths, strict=True):
            yield first, first + length

    def pfn_of_machine_frame(self, frame: int) -> int | None:
        """The pfn of a machine frame (16-byte entries only); the list is searched for it, answers are kept."""
        if frame not in self._machine:
            if len(self._machine) >= 1 << 16:
                self._machine.clear()
            self._machine[frame] = self._search(frame) if self._width == 16 else None
        return self._machine[frame]

    def _search(self, frame: int) -> int | None:
        wanted = struct.pack("<Q", frame)
        for chunk in self._chunks():
            at = chunk.find(wanted)
            while at >= 0:
                if at % 16 == 8:
                    return int.from_bytes(chunk[at - 8 : at], "little")
                at = chunk.find(wanted, at + 1)
        return None
