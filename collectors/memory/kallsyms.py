"""The kernel's own symbol table, read out of its memory: names for addresses without a vmlinux.

Sources: kernel/kallsyms.c, kernel/kallsyms_internal.h, scripts/kallsyms.c. Names are sequences of tokens
behind a length (one byte; two since 6.1 where its top bit is set); the first expanded character is the type.
Addresses are 32-bit offsets to kallsyms_relative_base (4.6 and later): with per-CPU symbols kept absolute
(x86 before 6.15) a negative offset means base - 1 - offset; before 4.6 and on some configurations they are
64-bit values in kallsyms_addresses. VMCOREINFO tells where the tables are since 6.0.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import pairwise

from kbmatch.collectors.memory.memory import Memory
from kbmatch.collectors.memory.vmcoreinfo import VmcoreInfo
from kbmatch.engine.errors import DamagedDump, MemoryUnavailable

MAX_SYMBOLS = 1 << 20
MAX_NAMES = 24 << 20
_TOKENS = 256
_CHUNK = 1 << 18
# The last block of names ends nobody knows where: 256 names are shorter.
_BLOCK = 1 << 14
# Names and values are read a piece at a time: a search needs few of them, and each may cost a compressed page.
_NAMES_PIECE, _VALUES_PIECE = 512, 64
# Steps of a bisection whose names are looked at to see that they ascend: 7 names in order are no chance.
_SAMPLED = 3
_WIDE, _PLAIN, _PER_CPU = range(3)
_TEXT_TYPES = frozenset("tTwW")


class Kallsyms:
    """Symbols of the kernel proper (not of modules), ascending by address.

    Raises DamagedDump or MemoryUnavailable if the tables cannot be used.
    """

    def __init__(self, memory: Memory, tables: dict[str, int]) -> None:
        self._memory = memory
        self.tables = tables
        self._tables = tables
        self.count = memory.read_u32(tables["kallsyms_num_syms"])
        if not 256 <= self.count <= MAX_SYMBOLS:
            raise DamagedDump(f"kallsyms: {self.count} symbols make no sense")
        self._tokens = self._read_tokens()
        self._base = 0
        self._form = _WIDE
        self._values: dict[int, tuple[int, ...]] = {}
        self._find_form()
        self._names: list[bytes] | None = None
        self._markers: tuple[int, ...] | None = None
        self._numbers: int | None = None
        self._blocks: dict[int, bytearray] = {}
        self._ranked: dict[int, bytes] = {}
        self._ordered = False
        self._prepared = False

    def _read_tokens(self) -> list[bytes]:
        index = struct.unpack("<256H", self._memory.read(self._tables["kallsyms_token_index"], 512))
        if index[0] != 0 or any(low >= high for low, high in pairwise(index)):
            raise DamagedDump("kallsyms: the token index is damaged")
        # The last token has no successor to end it.
        base = self._tables["kallsyms_token_table"]
        data = self._memory.read(base, index[-1]) + self._memory.read_c_string(base + index[-1], 64) + b"\0"
        tokens = [data[at:].split(b"\0", 1)[0] for at in index] if len(data) < 1 << 13 else []
        if len(tokens) != _TOKENS:
            raise DamagedDump("kallsyms: the token table is damaged")
        return tokens

    def _find_form(self) -> None:
        """Wide values, or offsets to a base: of the last symbol only per-CPU kernels have a negative one."""
        if "kallsyms_offsets" in self._tables:
            self._base = self._memory.read_u64(self._tables["kallsyms_relative_base"])
            self._form = _PLAIN
            self._form = _PER_CPU if self._value(self.count - 1) < 0 else _PLAIN
        else:
            self._value(self.count - 1)

    def _value(self, number: int) -> int:
        piece, at = divmod(number, _VALUES_PIECE)
        values = self._values.get(piece)
        if values is None:
            first = piece * _VALUES_PIECE
            count = min(_VALUES_PIECE, self.count - first)
            if self._form == _WIDE:
                values = self._memory.read_u64_array(self._tables["kallsyms_addresses"] + 8 * first, count)
            else:
                data = self._memory.read(self._tables["kallsyms_offsets"] + 4 * first, 4 * count)
                values = struct.unpack(f"<{count}i", data)
            self._values[piece] = values
        return values[at]

    def _address(self, number: int) -> int:
        """The address of one symbol: read and computed when asked for, there are 100,000 of them."""
        value = self._value(number)
        if self._form == _PER_CPU:
            return self._base - 1 - value if value < 0 else value
        return self._base + (value & 0xFFFFFFFF) if self._form == _PLAIN else value

    def _raw_names(self) -> Iterator[bytes]:
        address, end = self._tables["kallsyms_names"], self._tables["kallsyms_names"] + MAX_NAMES
        data = b""
        position = 0
        for _ in range(self.count):
            if position + 600 > len(data):
                data, position = data[position:] + self._piece(address, end), 0
                address += _CHUNK
            length = data[position] if position < len(data) else 0
            position += 1
            if length & 0x80 and position < len(data):
                length = length & 0x7F | data[position] << 7
                position += 1
            if not 0 < length <= 512 or position + length > len(data):
                raise DamagedDump("kallsyms: the names are damaged")
            yield data[position : position + length]
            position += length

    def _piece(self, address: int, end: int) -> bytes:
        try:
            return self._memory.read(address, min(_CHUNK, max(0, end - address)))
        except MemoryUnavailable:
            parts: list[bytes] = []
            for page in range(address, address + _CHUNK, 4096):
                try:
                    parts.append(self._memory.read(page, 4096))
                except MemoryUnavailable:
                    break
            return b"".join(parts)

    def _compressed(self) -> list[bytes]:
        if self._names is None:
            self._names = list(self._raw_names())
        return self._names

    def _raw(self, number: int) -> bytes:
        """The compressed name of one symbol: by the markers where they were found, else by reading all names."""
        if self._markers is None:
            return self._compressed()[number]
        # a search touches one name of a block: hopping to it is a tenth of the work of cutting out all 256
        position = 0
        for _ in range(number & 0xFF):
            length, position = self._length(number >> 8, position)
            position += length
        length, position = self._length(number >> 8, position)
        return bytes(self._block_to(number >> 8, position + length)[position : position + length])

    def _length(self, block: int, position: int) -> tuple[int, int]:
        """The length of the name whose length stands at `position` of the block, and where its tokens begin."""
        data = self._blocks.get(block, b"")
        if position + 2 > len(data):
            data = self._block_to(block, position + 2)
        length = data[position]
        if length < 0x80:
            return length, position + 1
        return length & 0x7F | data[position + 1] << 7, position + 2

    def _block_to(self, number: int, end: int) -> bytearray:
        """The block, as far as it was read, but at least to `end` where it is that long."""
        data = self._blocks.setdefault(number, bytearray())
        markers = self._markers or (0,)
        limit = markers[number + 1] - markers[number] if number + 1 < len(markers) else _BLOCK
        while len(data) < min(end, limit):
            address = self._tables["kallsyms_names"] + markers[number] + len(data)
            # to the end of the page at most: the next one may be left out, and costs as much as this one
            length = min(_NAMES_PIECE, limit - len(data), 4096 - address % 4096)
            data += self._memory.read(address, length)
        return data

    def _block_data(self, number: int) -> bytes:
        markers = self._markers or (0,)
        start = markers[number]
        address = self._tables["kallsyms_names"] + start
        if number + 1 < len(markers):
            return self._memory.read(address, min(markers[number + 1] - start, MAX_NAMES))
        return self._piece(address, address + _BLOCK)

    def _read_block(self, number: int) -> list[bytes]:
        data = self._block_data(number)
        names: list[bytes] = []
        position = 0
        while len(names) < min(256, self.count - number * 256):
            length = data[position]
            position += 1
            if length & 0x80:
                length = length & 0x7F | data[position] << 7
                position += 1
            names.append(data[position : position + length])
            position += length
        return names

    def _find_markers(self) -> tuple[tuple[int, ...] | None, int | None]:
        """(positions of every 256th name, address of the numbers sorted by name), each None where it is not found.

        No label tells where they are; their places follow from the order of the tables (6.2 to 6.3 and 6.1.y; 6.4 on;
        before 6.2 there are no sorted numbers). A wrong guess does not ascend, or does not fit the names.
        """
        tables = self._tables
        tokens = tables["kallsyms_token_table"]
        count = -(-self.count // 256)
        span, sorted_span = 4 * count + 7 & ~7, 3 * self.count + 7 & ~7
        behind = tables.get("kallsyms_relative_base", 0) + 8
        for at, numbers in (
            (tokens - sorted_span - span, tokens - sorted_span),
            (tokens - span, behind if behind > tokens else None),
        ):
            try:
                markers = struct.unpack(f"<{count}I", self._memory.read(at, 4 * count))
            except MemoryUnavailable:
                continue
            if markers[0] == 0 and markers[-1] < MAX_NAMES and all(a < b for a, b in pairwise(markers)):
                return markers, numbers
        return None, None

    def _prepare(self) -> None:
        """Use the markers only if they are right: the first block must end where the second begins."""
        self._prepared = True
        markers, numbers = self._find_markers()
        if markers is None or len(markers) < 2:
            return
        self._markers = markers
        try:
            first = self._read_block(0)
            if sum(len(raw) + (2 if len(raw) > 127 else 1) for raw in first) != markers[1]:
                self._markers = None
                return
            self._numbers = numbers
        except (MemoryUnavailable, IndexError):
            self._markers = self._numbers = None

    def _is_ascending(self) -> bool:
        """Whether the names that every search begins with stand in order."""
        if not self._ordered:
            sample = [self._by_name(rank) for rank in _first_ranks(0, self.count, _SAMPLED)]
            self._ordered = all(low <= high for low, high in pairwise(sample))
        return self._ordered

    def _number(self, rank: int) -> int:
        data = self._memory.read((self._numbers or 0) + 3 * rank, 3)
        number = int.from_bytes(data, "big")
        if number >= self.count:
            raise IndexError(number)
        return number

    def _by_name(self, rank: int) -> bytes:
        name = self._ranked.get(rank)
        if name is None:
            tokens = self._tokens
            name = self._ranked[rank] = b"".join([tokens[c] for c in self._raw(self._number(rank))])[1:]
        return name

    def _search_sorted(self, name: bytes) -> int | None:
        """The number of the symbol of that name. Guessing ranks by letters took more steps: 25, not 17."""
        low, high = 0, self.count
        while low < high:
            middle = (low + high) // 2
            if self._by_name(middle) < name:
                low = middle + 1
            else:
                high = middle
        if low < self.count and self._by_name(low) == name:
            return self._number(low)
        return None

    def _expand(self, raw: bytes) -> str:
        tokens = self._tokens
        return b"".join([tokens[c] for c in raw]).decode("utf-8", "replace")

    @property
    def is_sorted(self) -> bool:
        """Whether names are found by bisection, so that asking for one costs little; else all are read once."""
        if not self._prepared:
            self._prepare()
        return self._numbers is not None

    def find(self, wanted: Iterable[str]) -> dict[str, int]:
        """Addresses of symbols by name; unknown names are absent, of several of one name the first is taken.

        Under a millisecond a name where the kernel keeps its symbols sorted by name (6.2 and later), else one pass
        over all of them (100 ms).
        """
        if not self._prepared:
            self._prepare()
        wanted = list(wanted)
        if self._numbers is not None:
            try:
                numbers = {name: self._search_sorted(name.encode()) for name in wanted}
                # a name that is found is proof enough; one that is not may stand in numbers that are no such table
                if all(number is not None for number in numbers.values()) or self._is_ascending():
                    return self._addresses({name: n for name, n in numbers.items() if n is not None})
            except (MemoryUnavailable, IndexError):
                pass
            self._numbers = None
        tokens = self._tokens
        names = {name.encode(): name for name in wanted}
        found: dict[str, int] = {}
        for number, raw in enumerate(self._compressed()):
            name = b"".join([tokens[c] for c in raw])[1:]
            if name in names:
                found.setdefault(names[name], number)
                if len(found) == len(names):
                    break
        return self._addresses(found)

    def _addresses(self, numbers: dict[str, int]) -> dict[str, int]:
        """The addresses of symbols by number, without those whose page the dump left out."""
        found: dict[str, int] = {}
        for name, number in numbers.items():
            with suppress(MemoryUnavailable):
                found[name] = self._address(number)
        return found

    def lookup(self, address: int, *, data: bool = False) -> tuple[str, int, int] | None:
        """(name, offset, size) of the function that holds the address, None where no kernel text does.

        As the kernel does, the size reaches to the next different address. With `data`, variables count too.
        """
        try:
            index = bisect_right(range(self.count), address, key=self._address) - 1
            if index < 0:
                return None
            start = self._address(index)
            after = index + 1
            while after < self.count and self._address(after) == start:
                after += 1
            if after >= self.count:
                return None
            # Of aliases the first is the one that the kernel prints.
            while index > 0 and self._address(index - 1) == start:
                index -= 1
            if not self._prepared:
                self._prepare()
            name = self._expand(self._raw(index))
            size = self._address(after) - start
        except (MemoryUnavailable, IndexError):
            return None
        if name[:1] not in _TEXT_TYPES and not data:
            return None
        return name[1:], address - start, size


def _first_ranks(low: int, high: int, depth: int) -> list[int]:
    """The ranks that the first `depth` steps of any bisection may look at, ascending: they are read once for all."""
    if depth == 0 or low >= high:
        return []
    middle = (low + high) // 2
    return [*_first_ranks(low, middle, depth - 1), middle, *_first_ranks(middle + 1, high, depth - 1)]


NAMES = ("kallsyms_names", "kallsyms_num_syms", "kallsyms_token_table", "kallsyms_token_index")


def open_kallsyms(memory: Memory, info: VmcoreInfo) -> Kallsyms | None:
    """The symbol table where VMCOREINFO says it is, None where it does not say or the table cannot be used."""
    tables = {name: address for name, address in info.symbols.items() if name.startswith("kallsyms_")}
    offsets = {"kallsyms_offsets", "kallsyms_relative_base"} <= tables.keys() or "kallsyms_addresses" in tables
    if not offsets or any(name not in tables for name in NAMES):
        return None
    try:
        return Kallsyms(memory, tables)
    except (MemoryUnavailable, DamagedDump):
        return None
