"""C types as kbmatch needs them, whatever told them: BTF, DWARF or a layout table. Sizes and offsets are in bytes.

Typedefs, const and volatile are resolved away. What a pointer points to and what a struct holds are resolved when
first asked for, so that one struct does not pull in half the kernel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from kbmatch.engine.values import dataclass, field

POINTER_SIZE = 8
MAX_NESTING = 32


@dataclass(frozen=True, slots=True)
class Void:
    """No type: what a void pointer points to, or a type that is not known."""

    name: str = "void"
    size: int = 0


@dataclass(frozen=True, slots=True)
class Integer:
    """An integer, _Bool or char; floating point does not occur in kernel state."""

    name: str
    size: int
    signed: bool


@dataclass(frozen=True, slots=True)
class Enum:
    """An enumeration; `values` maps numbers to names."""

    name: str
    size: int
    signed: bool
    values: Mapping[int, str] = field(default_factory=dict, compare=False, hash=False)


@dataclass(frozen=True, slots=True)
class Function:
    """A function; only its address matters."""

    name: str = "function"
    size: int = 1


class Pointer:
    """A pointer; `target` is resolved on first use."""

    __slots__ = ("_resolve", "_target")
    size = POINTER_SIZE

    def __init__(self, resolve: Callable[[], CType] | CType) -> None:
        self._resolve = resolve if callable(resolve) else None
        self._target: CType | None = None if callable(resolve) else resolve

    @property
    def target(self) -> CType:
        """What it points to."""
        if self._target is None:
            assert self._resolve is not None
            self._target = self._resolve()
        return self._target

    @property
    def name(self) -> str:
        """As C writes it."""
        return pointer_name(self.target)


@dataclass(frozen=True, slots=True)
class Array:
    """An array; a flexible one has `count` 0."""

    element: CType
    count: int

    @property
    def size(self) -> int:
        """Bytes of all elements."""
        return self.element.size * self.count

    @property
    def name(self) -> str:
        """As C writes it, without a declarator."""
        return f"{self.element.name} [{self.count or ''}]"


@dataclass(frozen=True, slots=True)
class Member:
    """A member; anonymous structs and unions have `name` "". A bit field has `bits`: (first bit, width) of `offset`."""

    name: str
    type: CType
    offset: int
    bits: tuple[int, int] | None = None


class Struct:
    """A struct or union. `size` is None where only a declaration, or only some members, are known."""

    __slots__ = ("_load", "_members", "known_size", "name")

    def __init__(self, name: str, size: int | None, load: Callable[[], tuple[Member, ...]]) -> None:
        self.name = name
        self.known_size = size
        self._load = load
        self._members: tuple[Member, ...] | None = None

    @property
    def size(self) -> int:
        """Bytes, 0 where not known."""
        return self.known_size or 0

    @property
    def members(self) -> tuple[Member, ...]:
        """All members in order, anonymous ones as such."""
        if self._members is None:
            self._members = self._load()
        return self._members

    def find(self, name: str) -> Member | None:
        """The member of that name with its offset in this struct, looked for inside anonymous ones too."""
        return self._find(name, set())

    def _find(self, name: str, seen: set[int]) -> Member | None:
        for member in self.members:
            if member.name == name:
                return member
        seen.add(id(self))
        for member in self.members:
            inner = member.type
            # damaged types may nest in a circle, or branch without end
            if member.name or not isinstance(inner, Struct) or id(inner) in seen or len(seen) > MAX_NESTING:
                continue
            found = inner._find(name, seen)
            if found is not None:
                return Member(found.name, found.type, member.offset + found.offset, found.bits)
        return None


CType = Void | Integer | Enum | Function | Pointer | Array | Struct

VOID = Void()
VOID_POINTER = Pointer(VOID)
CHAR = Integer("char", 1, True)
U8, U16 = Integer("unsigned char", 1, False), Integer("unsigned short", 2, False)
S32, U32 = Integer("int", 4, True), Integer("unsigned int", 4, False)
S64, U64 = Integer("long", 8, True), Integer("unsigned long", 8, False)

_S8, _S16 = Integer("signed char", 1, True), Integer("short", 2, True)
BASE_TYPES: Mapping[str, CType] = {
    "void": VOID, "char": CHAR, "signed char": _S8, "unsigned char": U8, "bool": Integer("_Bool", 1, False),
    "_Bool": Integer("_Bool", 1, False), "short": _S16, "unsigned short": U16, "short unsigned int": U16,
    "int": S32, "unsigned int": U32, "unsigned": U32, "long": S64, "long int": S64, "unsigned long": U64,
    "long unsigned int": U64, "long long": S64, "unsigned long long": U64, "long long unsigned int": U64,
    "u8": U8, "u16": U16, "u32": U32, "u64": U64, "s8": _S8, "s16": _S16, "s32": S32, "s64": S64,
    "__u8": U8, "__u16": U16, "__u32": U32, "__u64": U64, "__s8": _S8, "__s16": _S16, "__s32": S32, "__s64": S64,
    "__le16": U16, "__le32": U32, "__le64": U64, "__be16": U16, "__be32": U32, "__be64": U64,
    "uint8_t": U8, "uint16_t": U16, "uint32_t": U32, "uint64_t": U64, "int8_t": _S8, "int16_t": _S16,
    "int32_t": S32, "int64_t": S64, "size_t": U64, "ssize_t": S64, "uintptr_t": U64, "gfp_t": U32, "pid_t": S32,
    "dma_addr_t": U64, "phys_addr_t": U64, "RING_IDX": U32, "grant_ref_t": U32, "evtchn_port_t": U32,
    "function": Function(),
}  # fmt: skip
"""Types of fixed width on the 64-bit architectures that kbmatch reads (include/linux/types.h, LP64)."""


def pointer_name(target: CType) -> str:
    """The name of a pointer to `target`."""
    name = target.name
    return name + "*" if name.endswith("*") else name + " *"
