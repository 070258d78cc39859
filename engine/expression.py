"""C expressions of probes, as trees of frozen values: what a probe reads, without code.

The store parses the text (pycparser); collectors evaluate the tree on memory or on what a transcript printed.
Member access, dereference, index, address-of, casts, sizeof, offsetof, arithmetic, logic, comparison; no assignment,
no calls (container_of, per_cpu and netdev_priv are rewritten when they are parsed).
"""

from __future__ import annotations

from collections.abc import Iterator

from kbmatch.engine.values import dataclass


@dataclass(frozen=True, slots=True)
class Number:
    """An integer constant."""

    value: int


@dataclass(frozen=True, slots=True)
class Name:
    """A variable of the probe (the record `q`, the loop index `i`) or a kernel symbol."""

    name: str


@dataclass(frozen=True, slots=True)
class Member:
    """`base.name`, or `base->name` with `arrow`."""

    base: Expression
    name: str
    arrow: bool


@dataclass(frozen=True, slots=True)
class Index:
    """`base[index]`."""

    base: Expression
    index: Expression


@dataclass(frozen=True, slots=True)
class Unary:
    """`operator` is one of & * - ~ ! +."""

    operator: str
    operand: Expression


@dataclass(frozen=True, slots=True)
class Binary:
    """`operator` is one of C's arithmetic, bit, comparison and logic operators."""

    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Cast:
    """`(type_name) operand`; `type_name` as written, blanks folded."""

    type_name: str
    operand: Expression


@dataclass(frozen=True, slots=True)
class SizeOf:
    """`sizeof(type_name)`."""

    type_name: str


@dataclass(frozen=True, slots=True)
class OffsetOf:
    """`offsetof(type_name, path)`; `path` are the members' names from the outer one in."""

    type_name: str
    path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PerCpu:
    """`per_cpu(name, cpu)`: one CPU's instance of a per-CPU variable."""

    name: str
    cpu: Expression


Expression = Number | Name | Member | Index | Unary | Binary | Cast | SizeOf | OffsetOf | PerCpu


def parts(expression: Expression) -> tuple[Expression, ...]:
    """The direct subexpressions."""
    match expression:
        case Member(base, _, _):
            return (base,)
        case Index(left, right) | Binary(_, left, right):
            return (left, right)
        case Unary(_, operand) | Cast(_, operand) | PerCpu(_, operand):
            return (operand,)
        case _:
            return ()


def names(expression: Expression) -> Iterator[str]:
    """The names of variables and kernel symbols, each as often as it occurs."""
    if isinstance(expression, (Name, PerCpu)):
        yield expression.name
    for part in parts(expression):
        yield from names(part)
