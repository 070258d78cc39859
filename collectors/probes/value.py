"""Typed values and C's integer arithmetic: promotions, conversions, wrapping, pointers (C11 6.3.1, 6.5)."""

from __future__ import annotations

import operator
from collections.abc import Callable

from kbmatch.collectors.types.model import S32, S64, U32, U64, CType, Enum, Integer, Pointer
from kbmatch.engine.values import dataclass


class Unknown(Exception):
    """The value is not known; the text says why ("not in this dump", "the type struct x is not known")."""


NOT_IN_DUMP = "not in this dump"


@dataclass(frozen=True, slots=True)
class Value:
    """A value of a type: a `number` in hand, or an lvalue at `address` that has not been read.

    `bits` (first bit, width) makes the lvalue a bit field. `register` names the register that a number came from.
    """

    type: CType
    number: int | None = None
    address: int | None = None
    bits: tuple[int, int] | None = None
    register: str | None = None


def wrap(number: int, type_: CType) -> int:
    """The number as the type holds it."""
    if isinstance(type_, (Integer, Enum)) and type_.size:
        width = 8 * type_.size
        if isinstance(type_, Integer) and type_.name in ("_Bool", "bool"):
            return int(number != 0)
        number &= (1 << width) - 1
        return number - (1 << width) if type_.signed and number >> (width - 1) else number
    return number & (1 << 64) - 1


def constant(number: int) -> Value:
    """An integer constant; one that needs 32 bits is unsigned, as a hexadecimal one is in C."""
    type_ = S32 if number < 1 << 31 else U32 if number < 1 << 32 else S64 if number < 1 << 63 else U64
    return Value(type_, wrap(number, type_))


def truth(value: Value) -> bool:
    """Whether a scalar is not zero."""
    assert value.number is not None
    return value.number != 0


def _promoted(type_: CType) -> Integer:
    if isinstance(type_, Pointer):
        return U64
    if isinstance(type_, (Integer, Enum)):
        if type_.size < 4:
            return S32
        if type_.size == 4:
            return S32 if type_.signed else U32
        return S64 if type_.signed else U64
    return U64


def _common(left: CType, right: CType) -> Integer:
    a, b = _promoted(left), _promoted(right)
    if a.size != b.size:
        return a if a.size > b.size else b
    return a if not a.signed else b


def _divide(a: int, b: int) -> int:
    return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


_ARITHMETIC: dict[str, Callable[[int, int], int]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "&": operator.and_, "|": operator.or_,
    "^": operator.xor, "/": _divide, "%": lambda a, b: a - b * _divide(a, b),
}  # fmt: skip
_COMPARISONS: dict[str, Callable[[int, int], bool]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


def unary(sign: str, value: Value) -> Value:
    """-, ~, ! or + of a number."""
    assert value.number is not None
    if sign == "!":
        return Value(S32, int(value.number == 0))
    type_ = _promoted(value.type)
    number = {"-": -value.number, "~": ~value.number}.get(sign, value.number)
    return Value(type_, wrap(number, type_))


def binary(sign: str, left: Value, right: Value) -> Value:
    """An arithmetic, bit or comparison operation on two numbers. Raises Unknown for a division by zero."""
    assert left.number is not None
    assert right.number is not None
    if sign in _COMPARISONS:
        type_ = _common(left.type, right.type)
        return Value(S32, int(_COMPARISONS[sign](wrap(left.number, type_), wrap(right.number, type_))))
    if sign in ("+", "-") and (isinstance(left.type, Pointer) or isinstance(right.type, Pointer)):
        return _pointer(sign, left, right)
    if sign in ("<<", ">>"):
        shifted = _promoted(left.type)
        if not 0 <= right.number < 8 * shifted.size:
            raise Unknown("a shift out of range")
        number = wrap(left.number, shifted)
        return Value(shifted, wrap(number << right.number if sign == "<<" else number >> right.number, shifted))
    type_ = _common(left.type, right.type)
    a, b = wrap(left.number, type_), wrap(right.number, type_)
    if sign in "/%" and b == 0:
        raise Unknown("a division by zero")
    return Value(type_, wrap(_ARITHMETIC[sign](a, b), type_))


def _pointer(sign: str, left: Value, right: Value) -> Value:
    assert left.number is not None
    assert right.number is not None
    if isinstance(left.type, Pointer) and isinstance(right.type, Pointer):
        if sign == "+":
            raise Unknown("two pointers cannot be added")
        difference = wrap(left.number - right.number, S64)
        return Value(S64, _divide(difference, max(left.type.target.size, 1)))
    pointer, index = (left, right) if isinstance(left.type, Pointer) else (right, left)
    assert isinstance(pointer.type, Pointer)
    assert pointer.number is not None
    assert index.number is not None
    if sign == "-" and pointer is right:
        raise Unknown("a pointer cannot be taken from a number")
    step = index.number * max(pointer.type.target.size, 1)
    return Value(pointer.type, wrap(pointer.number + (step if sign == "+" else -step), U64))
