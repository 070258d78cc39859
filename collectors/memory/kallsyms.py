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
from itertools import pairwise

from kbmatch.collectors.memory.memory import Memory
from kbmatch.collectors.memory.vmcoreinfo import VmcoreInfo
from kbmatch.engine.errors import DamagedDump, MemoryUnavailable

MAX_SYMBOLS = 1 << 20
MAX_NAMES = 24 << 20
_TOKENS = 256
_CHUNK = 1 << 18
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
        self._addresses = self._read_addresses()
        self._names: list[bytes] | None = None

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

    def _read_addresses(self) -> list[int]:
        memory, tables = self._memory, self._tables
        if "kallsyms_offsets" not in tables:
            return list(memory.read_u64_array(tables["kallsyms_addresses"], self.count))
        base = memory.read_u64(tables["kallsyms_relative_base"])
        offsets = struct.unpack(f"<{self.count}i", memory.read(tables["kallsyms_offsets"], 4 * self.count))
        if any(o < 0 for o in offsets[-1:]):
            return [base - 1 - o if o < 0 else o for o in offsets]
        return [base + (o & 0xFFFFFFFF) for o in offsets]

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

    def _expand(self, raw: bytes) -> str:
        tokens = self._tokens
        return b"".join([tokens[c] for c in raw]).decode("utf-8", "replace")

    def find(self, wanted: Iterable[str]) -> dict[str, int]:
        """Addresses of symbols by name; unknown names are absent, of several of one name the first is taken."""
        tokens = self._tokens
        names = {name.encode(): name for name in wanted}
        found: dict[str, int] = {}
        for number, raw in enumerate(self._compressed()):
            name = b"".join([tokens[c] for c in raw])[1:]
            if name in names:
                found.setdefault(names[name], self._addresses[number])
                if len(found) == len(names):
                    break
        return found

    def lookup(self, address: int) -> tuple[str, int, int] | None:
        """(name, offset, size) of the function that holds the address, None where no kernel text does.

        As the kernel does, the size reaches to the next different address.
        """
        index = bisect_right(self._addresses, address) - 1
        if index < 0:
            return None
        start = self._addresses[index]
        after = index + 1
        while after < self.count and self._addresses[after] == start:
            after += 1
        if after >= self.count:
            return None
        # Of aliases the first is the one that the kernel prints.
        while index > 0 and self._addresses[index - 1] == start:
            index -= 1
        name = self._expand(self._compressed()[index])
        if name[:1] not in _TEXT_TYPES:
            return None
        return name[1:], address - start, self._addresses[after] - start


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
