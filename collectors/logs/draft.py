"""What is collected of a crash report before it becomes a Signature."""

from __future__ import annotations

from dataclasses import dataclass, field

from kbmatch.collectors.logs.header import CpuLine
from kbmatch.collectors.logs.heads import Match
from kbmatch.collectors.logs.lines import Line
from kbmatch.collectors.logs.registers import Where
from kbmatch.engine.signature import Frame

TRAP_KINDS = frozenset(
    [
        "null-deref",
        "page-fault",
        "gpf",
        "double-fault",
        "stack-overflow",
        "divide-error",
        "invalid-opcode",
        "bug",
        "warning",
        "refcount",
        "list-corruption",
        "usercopy",
        "stack-segment",
        "alignment",
        "soft-lockup",
        "hard-lockup",
        "rcu-stall",
        "other",
        "mce",
        "panic",
        "sysrq",
    ]
)
"""Kinds whose report shows the registers of the fault; in the others a register block is an interrupted context."""

OOPS_KINDS = frozenset(
    [
        "null-deref",
        "page-fault",
        "gpf",
        "double-fault",
        "stack-overflow",
        "divide-error",
        "invalid-opcode",
        "bug",
        "list-corruption",
        "usercopy",
        "stack-segment",
        "alignment",
        "panic",
        "sysrq",
        "mce",
        "hard-lockup",
    ]
)
"""Kinds that stop the task or the kernel: an oops, a BUG, a panic."""

MARKERLESS = frozenset(["kasan", "kcsan", "kfence", "kmsan", "memory-leak", "hung-task"])


@dataclass(slots=True)
class TraceSection:
    """Frames under one trace header, with the CPU line and the counter lines that stand before them."""

    frames: list[Frame] = field(default_factory=list)
    marks: list[str | None] = field(default_factory=list)
    cuts: list[tuple[int, Where]] = field(default_factory=list)
    cpu: int | None = None
    aside: bool = False
    fresh: bool = True


@dataclass(slots=True)
class Draft:
    """A report while its lines come in.

    `heads` are in log order; `panics` are the panic lines that belong to it. `boot` and `excerpt` say which of several
    kernels and pasted texts it stands in. `bodied`, `traced`, `ended`: registers or frames, a trace header, the "end
    trace" line were seen; `told` counts the lines up to the last that said something, `closed` keeps it from taking
    more. `dropped` lines were too many, `lost` ones the console lost, `mixed` with another report, `torn`: no head.
    """

    heads: list[tuple[Match, Line]]
    boot: int = 0
    lines: list[Line] = field(default_factory=list)
    panics: list[tuple[Match, Line]] = field(default_factory=list)
    bodied: bool = False
    traced: bool = False
    ended: bool = False
    nth: int | None = None
    dropped: int = 0
    told: int = 0
    closed: bool = False
    torn: bool = False
    mixed: bool = False
    lost: int = 0
    excerpt: int = 0

    @property
    def strongest(self) -> tuple[Match, Line]:
        """The head that names the kind: the highest rank, the first of equals."""
        return max(self.heads, key=lambda pair: pair[0].head.rank)

    @property
    def is_oops(self) -> bool:
        """Whether the report is of a kind that stops the task, or has a die line ("... [#1]")."""
        return self.kind in OOPS_KINDS or any(match.head.role == "die" for match, _ in self.heads)

    @property
    def kind(self) -> str:
        """The kind that the strongest head names."""
        return self.strongest[0].head.kind


@dataclass(slots=True)
class Body:
    """What the lines of a report say, before it is decided what matters."""

    sections: list[TraceSection] = field(default_factory=list)
    where: Where | None = None
    source_line: str | None = None
    registers: dict[str, int | None] = field(default_factory=dict)
    code: str | None = None
    cpu_line: CpuLine | None = None
    release_line: CpuLine | None = None
    first_cpu: int | None = None
    hardware: str | None = None
    access: str | None = None
    address: int | None = None
    last_cr2: int | None = None
    task: tuple[str, int] | None = None
    modules: str = ""
    lock_at: str | None = None
    arch: str | None = None
    caller: str | None = None
    kaslr_offset: int | None = None
