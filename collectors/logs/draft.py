"""What is collected of a crash report before it becomes a Signature."""

from __future__ import annotations

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


class TraceSection:
    """Frames under one trace header (with their stack marks and lines), the CPU and the counter lines among them."""

    def __init__(self, cpu: int | None = None) -> None:
        self.frames: list[Frame] = []
        self.numbers: list[int] = []
        self.marks: list[str | None] = []
        self.cuts: list[tuple[int, Where, int]] = []
        self.cpu = cpu
        self.aside = False
        self.fresh = True


class Draft:
    """A report while its lines come in.

    `heads` are in log order; `panics` are the panic lines that belong to it. `boot` and `excerpt` say which of several
    kernels and pasted texts it stands in. `bodied`, `traced`, `ended`: registers or frames, a trace header, the "end
    trace" line were seen; `told` counts the lines up to the last that said something, `closed` keeps it from taking
    more. `dropped` lines were too many, `lost` ones the console lost, `mixed` with another report, `torn`: no head.
    `inside` is the stall's report into which this one broke, on the same CPU: it shows where the stalled CPU stood.
    """

    def __init__(self, heads: list[tuple[Match, Line]], boot: int = 0, excerpt: int = 0) -> None:
        self.heads = heads
        self.boot = boot
        self.excerpt = excerpt
        self.lines: list[Line] = []
        self.panics: list[tuple[Match, Line]] = []
        self.bodied = False
        self.traced = False
        self.ended = False
        self.nth: int | None = None
        self.dropped = 0
        self.told = 0
        self.closed = False
        self.torn = False
        self.mixed = False
        self.lost = 0
        self.inside: Draft | None = None

    @property
    def strongest(self) -> tuple[Match, Line]:
        """The head that names the kind: the highest rank, the first of equals."""
        return max(self.heads, key=lambda pair: pair[0].head.rank)

    @property
    def is_oops(self) -> bool:
        """Whether the report is of a kind that stops the task, or has a die line ("... [#1]")."""
        return self.kind in OOPS_KINDS or any(match.head.role == "die" for match, _ in self.heads)

    @property
    def in_passing(self) -> bool:
        """Whether the report is of what happens now and then to a healthy kernel."""
        return self.strongest[0].head.rank == 0

    @property
    def kind(self) -> str:
        """The kind that the strongest head names."""
        return self.strongest[0].head.kind


class Body:
    """What the lines of a report say, before it is decided what matters.

    `lines` tells on which line (1-based) a fact stood, by Signature's field names.
    """

    def __init__(self) -> None:
        self.sections: list[TraceSection] = []
        self.where: Where | None = None
        self.source_line: str | None = None
        self.registers: dict[str, int | None] = {}
        self.code: str | None = None
        self.cpu_line: CpuLine | None = None
        self.release_line: CpuLine | None = None
        self.first_cpu: int | None = None
        self.hardware: str | None = None
        self.access: str | None = None
        self.address: int | None = None
        self.last_cr2: int | None = None
        self.behind_shadow: int | None = None
        self.task: tuple[str, int] | None = None
        self.modules = ""
        self.lock_at: str | None = None
        self.locks: list[Frame] = []
        self.arch: str | None = None
        self.caller: str | None = None
        self.kaslr_offset: int | None = None
        self.lines: dict[str, int] = {}
