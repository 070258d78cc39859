"""Probe: which records to read out of a crashed kernel, and how. Read from kb/probes/<module>.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from kbmatch.engine.expression import Expression


@dataclass(frozen=True, slots=True)
class ProbeField:
    """
    One field of a record. `type` is "integer" or "text" (the expression yields a char pointer or array).

    With a `counter`, the value is how often `expression` is true in a row, the counter running from 0.
    """

    name: str
    type: str
    expression: Expression
    source: str
    counter: str | None = None


@dataclass(frozen=True, slots=True)
class RegisterRoot:
    """
    A register of the crashed context that may point into the record.

    `type_name` is what it points to ("struct napi_struct") and `member` the record's member that this is ("napi").
    For a transcript the root says in which registers the address of a printed struct makes it the one that the
    crashed context worked on.
    """

    registers: Mapping[str, tuple[str, ...]]
    type_name: str
    member: str


@dataclass(frozen=True, slots=True)
class MemberLayout:
    """Where a member lies in a struct: offset and size in bytes."""

    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Probe:
    """
    Reads records out of a driver's state.

    `variable` is the name of the record in the fields' expressions and `type_name` its type. `layouts` are structs of
    a public ABI, whose members are the same in every kernel, and `pointers` tells what pointers in it point to.
    """

    id: str
    module: str
    variable: str
    type_name: str
    roots: tuple[RegisterRoot, ...]
    record: tuple[ProbeField, ...]
    layouts: Mapping[str, Mapping[str, MemberLayout]] = field(default_factory=dict)
    pointers: Mapping[Expression, str] = field(default_factory=dict)


class ProbeSource(Protocol):
    """Hands out probes to collectors; asked only when an input can be probed at all."""

    def probes(self) -> tuple[Probe, ...]:
        """All probes of the knowledge base."""
        ...
