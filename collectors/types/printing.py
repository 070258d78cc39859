"""Prints a struct out of memory as crash's struct command does: names, nested braces, repeated elements folded.

Source of the form: gdb's "set print pretty on" as crash 8 uses it (gdb documentation, "Print Settings").
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from kbmatch.collectors.types.catalogue import TypeCatalogue
from kbmatch.collectors.types.model import Array, CType, Enum, Function, Integer, Member, Pointer, Struct
from kbmatch.engine.errors import MemoryUnavailable

MAX_BYTES = 1 << 20
MAX_ELEMENTS = 4096
MAX_DEPTH = 24
MAX_TEXT = 200
_REPEATS = 10

Read = Callable[[int, int], bytes]
Name = Callable[[int], str | None]


class Printer:
    """Prints lvalues; `read` gives bytes by address, `symbol` the name of a function's address."""

    def __init__(self, types: TypeCatalogue, read: Read, symbol: Name = lambda address: None) -> None:
        self._types = types
        self._read = read
        self._symbol = symbol

    def struct(self, type_: Struct, address: int) -> Iterator[str]:
        """The lines of a struct at an address."""
        yield f"{type_.name} {{"
        yield from self._members(type_, address, 1)
        yield "}"

    def member(self, member: Member, address: int) -> Iterator[str]:
        """The lines of one member of a struct at an address."""
        yield from self._member(member, address, 1, "")

    def _members(self, type_: Struct, address: int, depth: int) -> Iterator[str]:
        members = type_.members
        for number, member in enumerate(members):
            yield from self._member(member, address, depth, "," if number + 1 < len(members) else "")

    def _member(self, member: Member, address: int, depth: int, tail: str) -> Iterator[str]:
        indent, head = "  " * depth, f"{member.name} = " if member.name else ""
        type_ = self._types.complete(member.type)
        at = address + member.offset
        if isinstance(type_, Struct) and depth < MAX_DEPTH and type_.members:
            yield f"{indent}{head}{{"
            yield from self._members(type_, at, depth + 1)
            yield f"{indent}}}{tail}"
        elif isinstance(type_, Array) and isinstance(self._types.complete(type_.element), Struct):
            yield from self._structs(type_, at, depth, head, tail)
        else:
            yield f"{indent}{head}{self._plain(type_, at, member.bits)}{tail}"

    def _structs(self, type_: Array, address: int, depth: int, head: str, tail: str) -> Iterator[str]:
        indent, element = "  " * depth, self._types.complete(type_.element)
        assert isinstance(element, Struct)
        if depth >= MAX_DEPTH or not type_.count or not element.size:
            yield f"{indent}{head}0x{address:x}{tail}"
            return
        shown = min(type_.count, MAX_ELEMENTS)
        places = (address + number * element.size for number in range(shown))
        bodies = [list(self._members(element, place, depth + 2)) for place in places]
        yield f"{indent}{head}{{{{"
        number = 0
        while number < shown:
            same = 1
            while number + same < shown and bodies[number + same] == bodies[number]:
                same += 1
            yield from bodies[number]
            number += same
            repeats = f" <repeats {same} times>" if same > 1 else ""
            yield f"{indent}  }}{repeats}, {{" if number < shown else f"{indent}  }}{repeats}}}{tail}"

    def _plain(self, type_: CType, address: int, bits: tuple[int, int] | None) -> str:
        if isinstance(type_, Array):
            return self._array(type_, address)
        if isinstance(type_, (Struct, Function)) or not 0 < type_.size <= 16:
            return f"<{type_.name}>"
        try:
            data = self._read(address, type_.size if bits is None else max(type_.size, (bits[0] + bits[1] + 7) // 8))
        except MemoryUnavailable:
            return "<not in this dump>"
        return self._number(type_, int.from_bytes(data, "little"), bits)

    def _number(self, type_: CType, number: int, bits: tuple[int, int] | None = None) -> str:
        width = 8 * type_.size
        if bits is not None:
            number, width = number >> bits[0] & (1 << bits[1]) - 1, bits[1]
        if isinstance(type_, Pointer):
            name = self._symbol(number) if number >> 63 else None
            return f"0x{number:x}" + (f" <{name}>" if name else self._pointed_text(type_, number))
        if getattr(type_, "signed", False) and number >> (width - 1):
            number -= 1 << width
        if isinstance(type_, Enum):
            return type_.values.get(number, str(number))
        if isinstance(type_, Integer) and type_.name in ("_Bool", "bool"):
            return {0: "false", 1: "true"}.get(number, str(number))
        if isinstance(type_, Integer) and type_.size == 1:
            shown = f"'{chr(number)}'" if 32 <= number < 127 else f"'\\{number & 0xFF:03o}'"
            return f"{number} {shown}"
        return str(number)

    def _pointed_text(self, type_: Pointer, address: int) -> str:
        """What a char pointer points to, as gdb shows it; nothing where it cannot be read."""
        target = type_.target
        if not isinstance(target, Integer) or target.name != "char" or not address >> 63:
            return ""
        text = b""
        try:
            while len(text) < MAX_TEXT and b"\0" not in text:
                at = address + len(text)
                text += self._read(at, min(64, 4096 - (at & 4095)))
        except MemoryUnavailable:
            if not text:
                return ""
        shown = _quoted(text.split(b"\0", 1)[0])
        return f" {shown}" if b"\0" in text else f" {shown}..."

    def _array(self, type_: Array, address: int) -> str:
        element = self._types.complete(type_.element)
        count = min(type_.count, MAX_ELEMENTS)
        if not count:
            return f"0x{address:x}"
        if isinstance(element, Array):
            rows = [self._array(element, address + n * element.size) for n in range(min(count, 64))]
            return "{" + ", ".join(rows) + ("..." if type_.count > 64 else "") + "}"
        try:
            data = self._read(address, element.size * count)
        except MemoryUnavailable:
            return "<not in this dump>"
        if isinstance(element, Integer) and element.size == 1 and element.name != "_Bool":
            return _quoted(data[:-1] if data.endswith(b"\0") and type_.count == count else data)
        size = element.size
        items = [self._number(element, int.from_bytes(data[n * size : (n + 1) * size], "little")) for n in range(count)]
        return "{" + ", ".join(_folded(items)) + ("..." if type_.count > count else "") + "}"


def _folded(items: list[str]) -> Iterator[str]:
    """As gdb: ten or more equal elements in a row become one with its count."""
    number = 0
    while number < len(items):
        same = 1
        while number + same < len(items) and items[number + same] == items[number]:
            same += 1
        if same >= _REPEATS:
            yield f"{items[number]} <repeats {same} times>"
        else:
            yield from [items[number]] * same
        number += same


def _quoted(data: bytes) -> str:
    text = "".join(f"\\{chr(b)}" if b in b'"\\' else chr(b) if 32 <= b < 127 else f"\\{b:03o}" for b in data)
    return f'"{text}"'
