"""Which bytes of a file hold which bytes of physical memory: disjoint runs, found by bisection."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator

from kbmatch.engine.errors import NotInDump

LEFT_OUT = "not in this dump"


class PhysicalMap:
    """Runs of physical memory in a file.

    Built from (physical start, length, file offset) in any order; runs may overlap (the kernel image and the
    direct map of /proc/vmcore, QEMU dumps with paging): memory is the same, the first by address wins.
    """

    def __init__(self, runs: Iterable[tuple[int, int, int]]) -> None:
        self._starts, self._ends, self._offsets = array("Q"), array("Q"), array("Q")
        covered = 0
        for start, length, offset in sorted(runs, key=lambda run: (run[0], -run[1])):
            end = start + length
            begin = max(start, covered)
            if begin >= end:
                continue
            if self._ends and self._ends[-1] == begin and self._follows(offset + begin - start):
                self._ends[-1] = end
            else:
                self._starts.append(begin)
                self._ends.append(end)
                self._offsets.append(offset + begin - start)
            covered = end

    def _follows(self, offset: int) -> bool:
        return self._offsets[-1] + self._ends[-1] - self._starts[-1] == offset

    def pieces(self, address: int, length: int) -> Iterator[tuple[int, int]]:
        """(file offset, length) of the pieces that make up the range, in order. Raises NotInDump at a gap."""
        end = address + length
        index = bisect_right(self._starts, address) - 1
        while address < end:
            if index < 0 or index >= len(self._starts) or not self._starts[index] <= address < self._ends[index]:
                raise NotInDump(address, LEFT_OUT)
            stop = min(end, self._ends[index])
            yield self._offsets[index] + address - self._starts[index], stop - address
            address = stop
            index += 1

    def ranges(self, low: int, high: int) -> Iterator[tuple[int, int]]:
        """Physical ranges (start, end) between two addresses, ascending; neighbours in memory are joined."""
        begin = end = -1
        for n in range(max(bisect_right(self._starts, low) - 1, 0), len(self._starts)):
            start, stop = max(self._starts[n], low), min(self._ends[n], high)
            if self._starts[n] >= high:
                break
            if start >= stop:
                continue
            if end == start:
                end = stop
                continue
            if begin >= 0:
                yield begin, end
            begin, end = start, stop
        if begin >= 0:
            yield begin, end
