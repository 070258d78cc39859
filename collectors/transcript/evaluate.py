"""Evaluates a probe's C expressions on what a session printed, in place of memory.

Without type information: a member is looked up by name, a pointer is followed to the struct printed at its address
(or to words shown by rd, where the layout is of a public ABI), and arithmetic is on Python integers, so an expression
that relies on a C type's width must cast.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping

from kbmatch.collectors.transcript.memory_words import PrintedMemory
from kbmatch.collectors.transcript.structs import Printed, PrintedStruct
from kbmatch.engine.expression import Binary, Cast, Expression, Index, Member, Name, Number, Unary
from kbmatch.engine.probe import MemberLayout, Probe
from kbmatch.engine.values import dataclass

MAX_COUNT = 4096

_WIDTHS = {
    "u8": 8, "u16": 16, "u32": 32, "u64": 64, "uint8_t": 8, "uint16_t": 16, "uint32_t": 32, "uint64_t": 64,
    "RING_IDX": 32, "grant_ref_t": 32, "unsigned int": 32, "unsigned long": 64, "__u32": 32, "__u64": 64,
}  # fmt: skip


def _c_divide(a: int, b: int) -> int:
    return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


_OPERATIONS: dict[str, Callable[[int, int], int]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "&": operator.and_, "|": operator.or_,
    "^": operator.xor, "/": _c_divide, "%": lambda a, b: a - b * _c_divide(a, b),
    "==": lambda a, b: int(a == b), "!=": lambda a, b: int(a != b), "<": lambda a, b: int(a < b),
    "<=": lambda a, b: int(a <= b), ">": lambda a, b: int(a > b), ">=": lambda a, b: int(a >= b),
}  # fmt: skip


class NotPrinted(Exception):
    """The session does not show the value; the text says what is missing."""


@dataclass(frozen=True, slots=True)
class Place:
    """Memory of a known layout of which the session showed parts: at an address, or as a struct of another type."""

    address: int
    layout: Mapping[str, MemberLayout]
    printed: PrintedStruct | None
    printed_layout: Mapping[str, MemberLayout]


class Printouts:
    """All structs and words that a session printed.

    `misread` names the structs that were printed with a wrong type and read by offset nevertheless.
    """

    def __init__(self, structs: tuple[PrintedStruct, ...], memory: PrintedMemory) -> None:
        self.structs = structs
        self.misread: dict[str, None] = {}
        self._memory = memory
        self._by_address: dict[int, list[PrintedStruct]] = {}
        for struct in structs:
            if struct.address is not None:
                self._by_address.setdefault(struct.address, []).append(struct)

    def at(self, address: int, type_name: str | None, probe: Probe) -> Printed | Place:
        """What the session shows of the struct at an address. Raises NotPrinted."""
        shown = self._by_address.get(address, [])
        fitting = next((s for s in shown if type_name is None or s.type_name == type_name), None)
        if fitting is not None:
            return Printed(fitting.members, fitting.line)
        layout = probe.layouts.get(type_name or "")
        if layout is not None:
            other = next((s for s in shown if s.type_name in probe.layouts), None)
            if other is not None:
                said = f"line {other.line} prints 0x{address:x} as {other.type_name}; read by offset as {type_name}"
                self.misread[said] = None
            return Place(address, layout, other, probe.layouts[other.type_name] if other else {})
        raise NotPrinted(f"the session prints no {type_name or 'struct'} at 0x{address:x}")

    def member(self, place: Place, name: str) -> Printed:
        """A member of a place, by offset. Raises NotPrinted."""
        wanted = place.layout.get(name)
        if wanted is None:
            raise NotPrinted(f"{name} is not in the known layout")
        if place.printed is not None:
            for other, layout in place.printed_layout.items():
                value = place.printed.members.get(other)
                if layout == wanted and value is not None and isinstance(value.value, int):
                    return Printed(value.value & ((1 << 8 * wanted.size) - 1), value.line)
        shown = self._memory.read(place.address + wanted.offset, wanted.size)
        if shown is None:
            raise NotPrinted(f"the session does not show the memory at 0x{place.address + wanted.offset:x}")
        return Printed(*shown)


class Evaluator:
    """Evaluates expressions of one probe on one printed record."""

    def __init__(self, printouts: Printouts, probe: Probe, record: Printed) -> None:
        self._printouts = printouts
        self._probe = probe
        self._record = record
        self._counters: dict[str, int] = {}

    def evaluate(self, expression: Expression) -> Printed:
        """An integer or text with the last line it was taken from. Raises NotPrinted."""
        found = self._evaluate(expression)
        if isinstance(found, Place) or not isinstance(found.value, (int, str)):
            raise NotPrinted("not a plain value")
        return found

    def count(self, expression: Expression, counter: str) -> Printed:
        """How often the expression holds in a row, the counter running from 0. Raises NotPrinted."""
        line = self._record.line
        for number in range(MAX_COUNT):
            self._counters[counter] = number
            try:
                value = self.evaluate(expression)
            finally:
                del self._counters[counter]
            line = value.line
            if not value.value:
                return Printed(number, line)
        return Printed(MAX_COUNT, line)

    def _evaluate(self, expression: Expression) -> Printed | Place:
        if isinstance(expression, Number):
            return Printed(expression.value, self._record.line)
        if isinstance(expression, Name):
            return self._name(expression.name)
        if isinstance(expression, Member):
            return self._member(expression)
        if isinstance(expression, Index):
            return self._index(expression)
        if isinstance(expression, Cast):
            return self._cast(expression)
        if isinstance(expression, Unary):
            return self._unary(expression)
        if isinstance(expression, Binary):
            return self._binary(expression)
        raise NotPrinted("a transcript shows no types and no per-CPU offsets")

    def _name(self, name: str) -> Printed:
        if name == self._probe.variable:
            return self._record
        if name in self._counters:
            return Printed(self._counters[name], self._record.line)
        raise NotPrinted(f"the address of {name} is not known")

    def _member(self, expression: Member) -> Printed:
        base = self._evaluate(expression.base)
        if isinstance(base, Printed) and isinstance(base.value, int):
            if base.value == 0:
                raise NotPrinted(f"{expression.name} lies behind a NULL pointer")
            base = self._printouts.at(base.value, self._probe.pointers.get(expression.base), self._probe)
        if isinstance(base, Place):
            return self._printouts.member(base, expression.name)
        if not isinstance(base.value, Mapping) or expression.name not in base.value:
            raise NotPrinted(f"the session does not show {expression.name}")
        return base.value[expression.name]

    def _index(self, expression: Index) -> Printed:
        base, index = self._evaluate(expression.base), self._number(expression.index)
        if isinstance(base, Printed) and isinstance(base.value, list) and isinstance(index.value, int):
            if 0 <= index.value < len(base.value):
                return base.value[index.value]
            raise NotPrinted(f"the session does not show element {index.value}")
        raise NotPrinted("the session does not show the array")

    def _number(self, expression: Expression) -> Printed:
        found = self._evaluate(expression)
        if isinstance(found, Printed) and isinstance(found.value, int):
            return found
        raise NotPrinted("not a number")

    def _cast(self, expression: Cast) -> Printed | Place:
        bits = _WIDTHS.get(expression.type_name)
        if bits is None:
            return self._evaluate(expression.operand)
        number = self._number(expression.operand)
        assert isinstance(number.value, int)
        return Printed(number.value & ((1 << bits) - 1), number.line)

    def _unary(self, expression: Unary) -> Printed:
        if expression.operator in "&*":
            raise NotPrinted("addresses cannot be followed in a transcript")
        number = self._number(expression.operand)
        assert isinstance(number.value, int)
        value = {"-": -number.value, "~": ~number.value, "!": int(not number.value), "+": number.value}
        return Printed(value[expression.operator], number.line)

    def _binary(self, expression: Binary) -> Printed:
        left = self._number(expression.left)
        assert isinstance(left.value, int)
        if expression.operator in ("&&", "||"):
            if bool(left.value) == (expression.operator == "||"):
                return Printed(int(bool(left.value)), left.line)
            right = self._number(expression.right)
            return Printed(int(bool(right.value)), right.line)
        right = self._number(expression.right)
        assert isinstance(right.value, int)
        if expression.operator in ("<<", ">>"):
            if not 0 <= right.value < 64:
                raise NotPrinted("a shift out of range")
            shifted = left.value << right.value if expression.operator == "<<" else left.value >> right.value
            return Printed(shifted, max(left.line, right.line))
        if expression.operator in "/%" and right.value == 0:
            raise NotPrinted("a division by zero")
        return Printed(_OPERATIONS[expression.operator](left.value, right.value), max(left.line, right.line))
