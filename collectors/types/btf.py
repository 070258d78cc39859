"""BTF, the BPF Type Format: the types that kernels since 5.2 carry in themselves, and modules since 5.11.

Sources: Documentation/bpf/btf.rst and include/uapi/linux/btf.h (6.12). Little-endian, version 1. A module's BTF is
split: its type ids and string offsets go on where the kernel's end. Ids are 1-based, 0 is void.

Nothing is parsed but the offsets of the types (one pass, some 30 ms for a kernel) and what is asked for.
"""

from __future__ import annotations

import struct
from array import array

from kbmatch.collectors.types.model import VOID, Array, CType, Enum, Function, Integer, Member, Pointer, Struct

MAGIC = 0xEB9F
MAX_BYTES = 256 << 20
_HEADER = struct.Struct("<HBBIIIII")
(INT, PTR, ARRAY, STRUCT, UNION, ENUM, FWD, TYPEDEF, VOLATILE, CONST, RESTRICT, FUNC, FUNC_PROTO, VAR, DATASEC, FLOAT,
 DECL_TAG, TYPE_TAG, ENUM64) = range(1, 20)  # fmt: skip
# Words (4 bytes) behind the three of the header: fixed, and for each of vlen.
_FIXED = (0, 1, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0)
_EACH = (0, 0, 0, 0, 3, 3, 2, 0, 0, 0, 0, 0, 0, 2, 0, 3, 0, 0, 0, 3)
_TRANSPARENT = frozenset({TYPEDEF, VOLATILE, CONST, RESTRICT, TYPE_TAG})
_KEYWORDS = {"struct": (STRUCT,), "union": (UNION,), "enum": (ENUM, ENUM64)}
_MAX_CHAIN = 64
_MAX_ELEMENTS = 1 << 24


class BadBtf(Exception):
    """The bytes are no BTF, or damaged; the text says where."""


class Btf:
    """The types of a kernel or, with `base`, of a module. Raises BadBtf."""

    def __init__(self, data: bytes, base: Btf | None = None, label: str = "BTF in the dump") -> None:
        if len(data) < _HEADER.size:
            raise BadBtf("shorter than its header")
        magic, version, _, length, type_at, type_length, string_at, string_length = _HEADER.unpack_from(data)
        if magic != MAGIC or version != 1 or length < _HEADER.size:
            raise BadBtf("no BTF of version 1")
        types_end, strings_end = length + type_at + type_length, length + string_at + string_length
        if types_end > len(data) or strings_end > len(data) or type_length % 4 or not string_length:
            raise BadBtf("its sections lie outside of it")
        self.label = label
        self._base = base
        self._types = data[length + type_at : types_end]
        self._words = memoryview(self._types).cast("I")
        self._strings = data[length + string_at : strings_end]
        self._first_id: int = base.end_id if base is not None else 1
        self._first_string: int = base.end_string if base is not None else 0
        self._starts = self._scan()
        self.end_id: int = self._first_id + len(self._starts)
        self.end_string: int = self._first_string + len(self._strings)
        self._cache: dict[int, CType] = {}
        self._by_name: dict[str, CType | None] = {}

    def _scan(self) -> array[int]:
        """Where each type begins, in words."""
        words, starts = self._words, array("I")
        fixed, each, end, at = _FIXED, _EACH, len(self._words), 0
        append = starts.append
        try:
            while at < end:
                append(at)
                info = words[at + 1]
                kind = info >> 24 & 0x1F
                at += 3 + fixed[kind] + each[kind] * (info & 0xFFFF)
        except IndexError as error:
            raise BadBtf(f"type {len(starts)} cannot be read") from error
        if at != end:
            raise BadBtf("the last type is cut")
        return starts

    def _string(self, offset: int) -> str:
        if offset < self._first_string:
            return self._base._string(offset) if self._base is not None else ""
        start = offset - self._first_string
        end = self._strings.find(b"\0", start)
        return self._strings[start : end if end >= 0 else None].decode("ascii", "replace")

    def find(self, name: str) -> CType | None:
        """See TypeSource. A module's own type wins over the kernel's."""
        if name not in self._by_name:
            id_ = self._find_id(name)
            self._by_name[name] = self.type(id_) if id_ is not None else self._base.find(name) if self._base else None
        return self._by_name[name]

    def _find_id(self, name: str) -> int | None:
        keyword, _, rest = name.partition(" ")
        kinds = _KEYWORDS.get(keyword, (TYPEDEF, INT)) if rest else (TYPEDEF, INT)
        for offset in self._name_offsets(rest if keyword in _KEYWORDS and rest else name):
            wanted = struct.pack("<I", offset)
            at = self._types.find(wanted)
            while at >= 0:
                number = self._start_at(at // 4) if at % 4 == 0 else None
                if number is not None and self._words[at // 4 + 1] >> 24 & 0x1F in kinds:
                    return self._first_id + number
                at = self._types.find(wanted, at + 1)
        return None

    def _name_offsets(self, name: str) -> list[int]:
        """Offsets of the string; pahole shares suffixes no more than the compiler does, so it stands whole."""
        wanted = b"\0" + name.encode() + b"\0"
        at = self._strings.find(wanted)
        found = [] if at < 0 else [at + 1 + self._first_string]
        # a module's type may use a string that the kernel's BTF has
        return found + (self._base._name_offsets(name) if self._base is not None else [])

    def _start_at(self, word: int) -> int | None:
        from bisect import bisect_left

        number = bisect_left(self._starts, word)
        return number if number < len(self._starts) and self._starts[number] == word else None

    def type(self, id_: int) -> CType:
        """The type of an id, typedefs and qualifiers resolved; void for one that makes no sense."""
        for _ in range(_MAX_CHAIN):
            if id_ < self._first_id:
                return self._base.type(id_) if self._base is not None and id_ else VOID
            if id_ in self._cache:
                return self._cache[id_]
            if id_ >= self.end_id:
                return VOID
            at = self._starts[id_ - self._first_id]
            info, size = self._words[at + 1], self._words[at + 2]
            kind = info >> 24 & 0x1F
            if kind not in _TRANSPARENT:
                found = self._make(id_, at, kind, info, size)
                self._cache[id_] = found
                return found
            id_ = size
        return VOID

    def _make(self, id_: int, at: int, kind: int, info: int, size: int) -> CType:
        words = self._words
        name = self._string(words[at])
        if kind == INT:
            return Integer(name, size, bool(words[at + 3] >> 24 & 1))
        if kind == PTR:
            return Pointer(lambda: self.type(size))
        if kind == ARRAY:
            return Array(self._element(words[at + 3]), min(words[at + 5], _MAX_ELEMENTS))
        if kind in (STRUCT, UNION):
            keyword = "struct" if kind == STRUCT else "union"
            return Struct(f"{keyword} {name}".rstrip(), size, lambda: self._members(at, info))
        if kind == FWD:
            return Struct(f"{'union' if info >> 31 else 'struct'} {name}", None, tuple)
        if kind in (ENUM, ENUM64):
            step = 2 if kind == ENUM else 3
            items = range(at + 3, at + 3 + step * (info & 0xFFFF), step)
            values = {self._enumerator(n, kind): self._string(words[n]) for n in items}
            return Enum(f"enum {name}".rstrip(), size, bool(info >> 31), values)
        if kind == FUNC_PROTO:
            return Function()
        return VOID

    def _element(self, id_: int) -> CType:
        # An array of arrays nests; damaged data could make one its own element.
        seen = 0
        at = id_
        while (
            self._first_id <= at < self.end_id
            and self._words[self._starts[at - self._first_id] + 1] >> 24 & 0x1F == ARRAY
        ):
            at = self._words[self._starts[at - self._first_id] + 3]
            seen += 1
            if seen > 8:
                return VOID
        return self.type(id_)

    def _enumerator(self, word: int, kind: int) -> int:
        value = self._words[word + 1]
        if kind == ENUM64:
            return value | self._words[word + 2] << 32
        return value - (1 << 32) if value >> 31 else value

    def _members(self, at: int, info: int) -> tuple[Member, ...]:
        words, found = self._words, []
        has_bits = info >> 31
        for n in range(at + 3, at + 3 + 3 * (info & 0xFFFF), 3):
            offset = words[n + 2]
            width, first = (offset >> 24, offset & 0xFFFFFF) if has_bits else (0, offset)
            type_ = self.type(words[n + 1])
            name = self._string(words[n])
            if width:
                found.append(Member(name, type_, first // 8, (first % 8, width)))
            else:
                found.append(Member(name, type_, first // 8))
        return tuple(found)
