"""From virtual to physical addresses: what every architecture offers, and reading table entries with a"
" cache.
"""

from __future__ import annotations

import struct
from typing import Protocol

from kbmatch.collectors.containers.container import Container


class Translation(Protocol):
    """Address translation of one kernel."""

    def translate(self, address: int) -> tuple[int, int]:
        """(physical address, bytes that follow it without a break) for a virtual address.

        Raises NotMapped where no entry leads there, NotInDump where a table page was left out.
        """
        ...


class TableReader:
    """64-bit little-endian table entries by physical address, cached."""

    _LIMIT = 1 << 16

    def __init__(self, container: Container) -> None:
        self._container = container
        self._cache: dict[int, int] = {}

    def entry(self, table: int, index: int) -> int:
        """Entry `index` of the table at a frame address as found in cr3 or another entry. Raises"
        " NotInDump.
        """
        key = table + index * 8
        value = self._cache.get(key)
        if value is None:
            container = self._container
            (value,) = struct.unpack("<Q", container.read_physical(container.table_address(table) + index * 8, 8))
            if len(self._cache) >= self._LIMIT:
                self._cache.clear()
            self._cache[key] = value
        return value

    def frame(self, address: int) -> int:
        """The guest-physical address of a frame address found in an entry."""
        return self._container.table_address(address)
