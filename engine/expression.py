"""
C expressions of probes, as trees of frozen values: what a probe reads, without code.

The store parses the text (pycparser); collectors evaluate the tree on memory or on what a transcript printed.
Member access, dereference, index, address-of, casts, arithmetic, logic, comparison; no assignment, no calls.
"""

from __future__ import annotations

from dataclasses import dataclass


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


Expression = Number | Name | Member | Index | Unary | Binary | Cast
