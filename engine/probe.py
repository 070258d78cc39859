"""Probe: which records to read out of a crashed kernel, and how. Read from kb/probes/<module>.yaml."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from kbmatch.engine.expression import Expression, Name, Unary, names
from kbmatch.engine.layout import Layout
from kbmatch.engine.values import dataclass, field


@dataclass(frozen=True, slots=True)
class ProbeField:
    """One field of a record. `type` is "integer" or "text" (the expression yields a char pointer or array).

    With a `counter`, the value is how often `expression` is true in a row, the counter running from 0. `others` are
    tried in turn where `expression` is not known: kernels name members differently.
    """

    name: str
    type: str
    expression: Expression
    source: str
    counter: str | None = None
    others: tuple[Expression, ...] = ()


@dataclass(frozen=True, slots=True)
class RegisterRoot:
    """A register of the crashed context that may point into the record.

    `registers` are names by architecture, `type_name` is what they point to ("struct napi_struct") and `member` the
    record's member that this is ("napi"; "" where it is the record itself). `where` is the guard: only a pointer `p`
    for which it is true is followed. `yields` is the record. For a transcript the root says in which registers the
    address of a printed struct makes it the one that the crashed context worked on.
    """

    registers: Mapping[str, tuple[str, ...]]
    type_name: str
    member: str
    where: Expression | None = None
    yields: Expression | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a walk: binds `variable` to one object after the other.

    `kind` is "net-devices" (all struct net_device of all namespaces), "list" (`expression` is a list_head, the
    elements are `type_name` with it as `member`), "array" (`count` elements of the array or pointer `expression`),
    "range" (the numbers below `expression`),
    "cpus" (the numbers of the possible CPUs) or "value" (`expression` itself). Objects for which `where` is false are
    passed over.
    """

    kind: str
    variable: str
    expression: Expression | None = None
    count: Expression | None = None
    type_name: str | None = None
    member: str | None = None
    where: Expression | None = None


@dataclass(frozen=True, slots=True)
class WalkRoot:
    """Steps, each inside the one before; `yields` is the record. A walk that ends is complete: no record is missing."""

    steps: tuple[Step, ...]
    yields: Expression


@dataclass(frozen=True, slots=True)
class RegisterRecord:
    """A record read out of the register file alone, where there is no memory.

    Valid only for the code that `code` (a CodePattern's text with 24 or more known bytes) or `build_id` names, on
    `arch`, and if `where` holds, in whose expressions registers are unsigned 64-bit variables. `record` has the fields
    that the registers tell.
    """

    arch: str
    code: str | None
    build_id: str | None
    where: Expression
    record: Mapping[str, Expression]


@dataclass(frozen=True, slots=True)
class MemberLayout:
    """Where a member lies in a struct: offset and size in bytes, and its type where it is no plain unsigned number."""

    offset: int
    size: int
    type_name: str | None = None


@dataclass(frozen=True, slots=True)
class Probe:
    """Reads records out of a driver's state.

    `module` is "" where what is read belongs to the kernel proper. `variable` is the name of the record in the fields'
    expressions and `type_name` its type. `layouts` are structs of a public ABI, whose members are the same in every
    kernel, and `pointers` tells what pointers in it point to. `kinds` are the crashes that it is read for (empty:
    all), and `functions` those in which the CPU must have stood (empty: any). `uses` are other modules whose symbols
    and types it needs. `sentence` says what a record means: clauses set apart by "; ", with {field} for values; a
    clause of which a value is not known is left out.
    """

    id: str
    module: str
    variable: str
    type_name: str
    roots: tuple[RegisterRoot, ...]
    record: tuple[ProbeField, ...]
    layouts: Mapping[str, Mapping[str, MemberLayout]] = field(default_factory=dict)
    pointers: Mapping[Expression, str] = field(default_factory=dict)
    walks: tuple[WalkRoot, ...] = ()
    register_records: tuple[RegisterRecord, ...] = ()
    kinds: tuple[str, ...] = ()
    sentence: str | None = None
    uses: tuple[str, ...] = ()
    functions: tuple[str, ...] = ()

    def expressions(self) -> Iterator[Expression]:
        """Every expression that may be evaluated on memory."""
        for root in self.roots:
            yield from (e for e in (root.where, root.yields) if e is not None)
        for walk in self.walks:
            for step in walk.steps:
                yield from (e for e in (step.expression, step.count, step.where) if e is not None)
            yield walk.yields
        for item in self.record:
            yield from (item.expression, *item.others)

    def own_symbols(self) -> frozenset[str]:
        """Symbols in guards: where one of them is part of the kernel proper, the driver is built in."""
        guards = [root.where for root in self.roots]
        guards += [step.where for walk in self.walks for step in walk.steps]
        return frozenset(name for e in guards if e is not None for name in names(e)) & self.symbols()

    def symbols(self) -> frozenset[str]:
        """The kernel symbols that the expressions name."""
        own = {self.variable, "p", *(step.variable for walk in self.walks for step in walk.steps)}
        own.update(item.counter for item in self.record if item.counter is not None)
        return frozenset(name for e in self.expressions() for name in names(e)) - own


@dataclass(frozen=True, slots=True)
class ProbeHead:
    """What tells whether a probe applies, without loading it.

    `symbols` are all kernel symbols that it names, `guards` those in its guards, `lists` the list heads by which its
    walks begin (empty if one begins otherwise): where all of them are empty there is nothing to read. `by_registers`
    says whether it can read a register file alone.
    """

    id: str
    module: str
    kinds: tuple[str, ...]
    symbols: tuple[str, ...]
    guards: tuple[str, ...]
    by_registers: bool
    functions: tuple[str, ...]
    lists: tuple[str, ...]

    @classmethod
    def of(cls, probe: Probe) -> ProbeHead:
        """The head of a probe."""
        return cls(
            probe.id,
            probe.module,
            probe.kinds,
            tuple(sorted(probe.symbols())),
            tuple(sorted(probe.own_symbols())),
            bool(probe.register_records),
            probe.functions,
            _first_lists(probe),
        )


def _first_lists(probe: Probe) -> tuple[str, ...]:
    heads: list[str] = []
    for walk in probe.walks:
        match walk.steps[0]:
            case Step(kind="list", expression=Unary("&", Name(name))):
                heads.append(name)
            case _:
                return ()
    return () if probe.roots else tuple(heads)


class ProbeSource(Protocol):
    """Hands out probes and layouts to collectors; asked only when an input can be probed at all."""

    def probe_heads(self) -> tuple[ProbeHead, ...]:
        """The heads of all probes of the knowledge base."""
        ...

    def register_modules(self) -> frozenset[str]:
        """The modules of the probes that can read a register file alone."""
        ...

    def probe(self, probe_id: str) -> Probe | None:
        """One probe by id."""
        ...

    def probes(self) -> tuple[Probe, ...]:
        """All probes of the knowledge base."""
        ...

    def layouts(self) -> tuple[Layout, ...]:
        """All layouts of the knowledge base."""
        ...
