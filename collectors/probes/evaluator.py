"""Evaluates a probe's C expressions on memory, with types, in three-valued logic and within bounds.

What cannot be known raises Unknown with the reason. `0 && unknown` is 0 and `1 || unknown` is 1, whichever side is
unknown; all else of an unknown is unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from kbmatch.collectors.probes.value import NOT_IN_DUMP, Unknown, Value, binary, constant, truth, unary, wrap
from kbmatch.collectors.types.catalogue import TypeCatalogue, UnknownType
from kbmatch.collectors.types.model import S32, U64, VOID, Array, CType, Function, Pointer, Struct, Void
from kbmatch.engine.errors import MemoryUnavailable, NotInDump
from kbmatch.engine.expression import (
    Binary,
    Cast,
    Expression,
    Index,
    Member,
    Name,
    Number,
    OffsetOf,
    PerCpu,
    SizeOf,
    Unary,
)

KERNEL_HALF = 1 << 63
MAX_TEXT = 256


class Reader(Protocol):
    """Memory by virtual address; raises MemoryUnavailable."""

    def read(self, address: int, length: int) -> bytes:
        """Exactly `length` bytes."""
        ...


class Symbols(Protocol):
    """Addresses of kernel symbols."""

    def address(self, name: str) -> int | None:
        """The address of a symbol, None where it is not known."""
        ...

    def per_cpu_offset(self, cpu: int) -> int | None:
        """What is added to a per-CPU variable's address for one CPU, None where not known."""
        ...


class Exhausted(Unknown):
    """The probe has read or computed more than a probe may."""


class Budget:
    """What one probe may spend: steps of evaluation and bytes of memory."""

    def __init__(self, steps: int = 300_000, bytes_: int = 16 << 20) -> None:
        self.steps = steps
        self.bytes = bytes_

    def step(self) -> None:
        """Count one step. Raises Exhausted."""
        self.steps -= 1
        if self.steps < 0:
            raise Exhausted("more steps than a probe may take")

    def spend(self, length: int) -> None:
        """Count bytes read. Raises Exhausted."""
        self.bytes -= length
        if self.bytes < 0:
            raise Exhausted("more memory than a probe may read")


class Evaluator:
    """Evaluates expressions; `variables` are those of the probe, in scope now."""

    def __init__(
        self,
        types: TypeCatalogue,
        memory: Reader | None,
        symbols: Symbols | None,
        budget: Budget,
        variables: Mapping[str, Value] | None = None,
    ) -> None:
        self.types = types
        self.variables: dict[str, Value] = dict(variables or {})
        self.budget = budget
        self._memory = memory
        self._symbols = symbols

    def scalar(self, expression: Expression) -> Value:
        """The value as a number. Raises Unknown."""
        return self.load(self.evaluate(expression))

    def holds(self, expression: Expression) -> bool:
        """Whether the expression is true. Raises Unknown."""
        return truth(self.scalar(expression))

    def text(self, expression: Expression) -> tuple[str, int]:
        """A char array or what a char pointer points to, and its address. Raises Unknown."""
        value = self.evaluate(expression)
        limit = MAX_TEXT
        if isinstance(value.type, Array) and value.address is not None:
            address = value.address
            limit = min(value.type.size or MAX_TEXT, MAX_TEXT)
        else:
            address = self.load(value).number or 0
        text = self._c_string(address, limit)
        return text.decode("utf-8", "replace"), address

    def _c_string(self, address: int, limit: int) -> bytes:
        text = b""
        while len(text) < limit and b"\0" not in text:
            at = address + len(text)
            text += self.read(at, min(limit - len(text), 64, 4096 - (at & 4095)))
        return text.split(b"\0", 1)[0]

    def read(self, address: int, length: int) -> bytes:
        """Bytes of kernel memory. Raises Unknown."""
        if self._memory is None:
            raise Unknown("no memory to read")
        if address < 4096:
            raise Unknown("behind a NULL pointer")
        if not KERNEL_HALF <= address < (1 << 64) - length:
            raise Unknown(f"0x{address:x} is no kernel address")
        self.budget.spend(length)
        try:
            return self._memory.read(address, length)
        except NotInDump as error:
            raise Unknown(f"{NOT_IN_DUMP}: the page of 0x{address:x}") from error
        except MemoryUnavailable as error:
            raise Unknown(f"0x{address:x} is not mapped: a wild pointer") from error

    def load(self, value: Value) -> Value:
        """An lvalue read: arrays become pointers to their first element, as in C. Raises Unknown."""
        type_ = value.type
        if value.number is not None:
            return value
        if value.address is None:
            raise Unknown("no value")
        if isinstance(type_, Array):
            return Value(Pointer(type_.element), value.address)
        if isinstance(type_, Function):
            return Value(Pointer(type_), value.address)
        if isinstance(type_, Struct):
            raise Unknown(f"{type_.name} is no plain value")
        if isinstance(type_, Void) or not 0 < type_.size <= 8:
            raise Unknown("its type is not known; cast its address")
        number = int.from_bytes(self.read(value.address, type_.size), "little")
        if value.bits is not None:
            first, width = value.bits
            if first + width > 8 * type_.size:
                number = int.from_bytes(self.read(value.address, (first + width + 7) // 8), "little")
            number = number >> first & (1 << width) - 1
            if getattr(type_, "signed", False) and number >> (width - 1):
                number -= 1 << width
            return Value(type_, number, value.address)
        return Value(type_, wrap(number, type_), value.address)

    def evaluate(self, expression: Expression) -> Value:
        """The value, an lvalue where the expression names memory. Raises Unknown."""
        self.budget.step()
        if isinstance(expression, Member):
            return self._member(expression)
        if isinstance(expression, Name):
            return self._name(expression.name)
        if isinstance(expression, Number):
            return constant(expression.value)
        if isinstance(expression, Binary):
            return self._binary(expression)
        if isinstance(expression, Index):
            pointer = binary("+", self.scalar(expression.base), self.scalar(expression.index))
            return self._at(pointer)
        if isinstance(expression, Unary):
            return self._unary(expression)
        if isinstance(expression, Cast):
            return self._cast(self._type(expression.type_name), self.evaluate(expression.operand))
        if isinstance(expression, SizeOf):
            return self._size(expression.type_name)
        if isinstance(expression, OffsetOf):
            return self._offset(expression)
        return self._per_cpu(expression)

    def _type(self, name: str) -> CType:
        try:
            return self.types.resolve(name)
        except UnknownType as error:
            raise Unknown(str(error)) from error

    def _name(self, name: str) -> Value:
        if name in self.variables:
            return self.variables[name]
        address = self._symbols.address(name) if self._symbols is not None else None
        if address is None:
            raise Unknown(f"the address of {name} is not known")
        return Value(VOID, None, address)

    def _struct(self, type_: CType, wanted: str) -> Struct:
        found = self.types.complete(type_)
        if isinstance(found, Struct) and (found.known_size is not None or found.members):
            return found
        raise Unknown(f"the type {found.name} is not known" if isinstance(found, Struct) else f"{wanted} is no member")

    def _member(self, expression: Member) -> Value:
        base = self.evaluate(expression.base)
        if expression.arrow:
            base = self._at(self.load(base))
        if base.address is None:
            raise Unknown(f"{expression.name} of a value that has no address")
        struct = self._struct(base.type, expression.name)
        member = struct.find(expression.name)
        if member is None:
            raise Unknown(f"{struct.name} has no member {expression.name} here")
        return Value(member.type, None, base.address + member.offset & (1 << 64) - 1, member.bits)

    def _at(self, pointer: Value) -> Value:
        """What a pointer points to, as an lvalue."""
        if not isinstance(pointer.type, Pointer) or pointer.number is None:
            raise Unknown("no pointer")
        if pointer.number < 4096:
            raise Unknown("behind a NULL pointer")
        return Value(self.types.complete(pointer.type.target), None, pointer.number)

    def _binary(self, expression: Binary) -> Value:
        if expression.operator in ("&&", "||"):
            return self._logic(expression.operator == "||", expression)
        return binary(expression.operator, self.scalar(expression.left), self.scalar(expression.right))

    def _logic(self, decisive: bool, expression: Binary) -> Value:
        unknown: Unknown | None = None
        for part in (expression.left, expression.right):
            try:
                if self.holds(part) is decisive:
                    return Value(S32, int(decisive))
            except Exhausted:
                raise
            except Unknown as error:
                unknown = unknown or error
        if unknown is not None:
            raise unknown
        return Value(S32, int(not decisive))

    def _unary(self, expression: Unary) -> Value:
        if expression.operator == "*":
            return self._at(self.scalar(expression.operand))
        if expression.operator == "&":
            value = self.evaluate(expression.operand)
            if value.address is None or value.bits is not None:
                raise Unknown("it has no address")
            return Value(Pointer(value.type), value.address)
        return unary(expression.operator, self.scalar(expression.operand))

    def _cast(self, type_: CType, value: Value) -> Value:
        if isinstance(type_, (Struct, Array)):
            raise Unknown("cast to pointers and numbers only")
        loaded = self.load(value)
        assert loaded.number is not None
        return Value(type_, wrap(loaded.number, type_), register=loaded.register)

    def _size(self, name: str) -> Value:
        type_ = self.types.complete(self._type(name))
        if isinstance(type_, Struct) and type_.known_size is None:
            raise Unknown(f"the size of {type_.name} is not known")
        return Value(U64, type_.size)

    def _offset(self, expression: OffsetOf) -> Value:
        type_, offset = self._type(expression.type_name), 0
        for name in expression.path:
            member = self._struct(type_, name).find(name)
            if member is None:
                raise Unknown(f"{type_.name} has no member {name} here")
            type_, offset = member.type, offset + member.offset
        return Value(U64, offset)

    def _per_cpu(self, expression: PerCpu) -> Value:
        variable = self._name(expression.name)
        cpu = self.scalar(expression.cpu).number or 0
        offset = self._symbols.per_cpu_offset(cpu) if self._symbols is not None else None
        if offset is None or variable.address is None:
            raise Unknown(f"where CPU {cpu} keeps {expression.name} is not known")
        return Value(variable.type, None, variable.address + offset & (1 << 64) - 1)
