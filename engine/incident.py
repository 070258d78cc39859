"""Incident: one input - its kernel, machine, crash events in log order, and what memory showed.

Field names are the keys of DESIGN.md's "Signature JSON", in its order; unknown is None.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from kbmatch.engine.signature import Signature
from kbmatch.engine.values import dataclass, field


@dataclass(frozen=True, slots=True)
class Source:
    """Where the facts come from: path as given ("-" = standard input), format by content, size in bytes."""

    path: str
    format: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Kernel:
    """The kernel of the fatal event.

    `version` is what stands behind the release, from "#" on ("#2 SMP Wed Aug 28 ..."). `taint` is the tuple of
    letters, None without a taint line. `phys_base` alone is signed. `banner` is the whole "Linux version" line where
    one was seen: products are recognised by its builder strings. `command_line` is what the boot loader handed over,
    as logged. Both are no part of the JSON contract.
    """

    release: str | None = None
    version: str | None = None
    arch: str | None = None
    product: str | None = None
    stream: str | None = None
    package_version: str | None = None
    upstream_base: str | None = None
    build_id: str | None = None
    taint: tuple[str, ...] | None = None
    livepatched: bool | None = None
    kaslr_offset: int | None = None
    phys_base: int | None = None
    banner: str | None = field(default=None, compare=False)
    command_line: str | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine: "Hardware name:" as printed, the hypervisor's short name (xen, kvm, vmware, hyperv), CPUs."""

    hardware: str | None = None
    hypervisor: str | None = None
    cpus: int | None = None
    hostname: str | None = None


@dataclass(frozen=True, slots=True)
class StateRecord:
    """One record that a probe read: where it lies, its values by the probe's field names, their addresses.

    A value that is not known is absent from `values`; `missing` then says why ("not in this dump", "not printed").
    `registers` names the register of values that came from one.
    """

    at: int | None
    values: Mapping[str, int | str]
    addresses: Mapping[str, int] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict, compare=False)
    lines: Mapping[str, int] = field(default_factory=dict, compare=False)
    registers: Mapping[str, str] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class ProbeState:
    """What one probe found. `complete` is True only if every record that exists was found and read.

    `origin` is memory, transcript or registers; `why` says what is missing where not complete.
    """

    complete: bool
    origin: str
    records: tuple[StateRecord, ...] = ()
    why: str | None = None


@dataclass(frozen=True, slots=True)
class Note:
    """Something the reader should know of the input. `level` is info, warning or error."""

    level: str
    text: str


class LogText:
    """A whole log: its bytes, split into lines (str, without line ends) only when somebody asks."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    @cached_property
    def lines(self) -> tuple[str, ...]:
        """All lines, decoded as UTF-8; what is none becomes U+FFFD."""
        return tuple(line.decode("utf-8", "replace") for line in self.data.splitlines())


@dataclass(frozen=True, slots=True)
class Incident:
    """One input, read. `log` is the whole log where it is at hand; it is no part of the JSON contract."""

    source: Source
    kernel: Kernel = field(default_factory=Kernel)
    machine: Machine = field(default_factory=Machine)
    events: tuple[Signature, ...] = ()
    state: Mapping[str, ProbeState] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()
    log: LogText | None = field(default=None, compare=False, repr=False)

    @property
    def fatal_index(self) -> int | None:
        """Index of the fatal event, None without events. The first is taken where none is marked."""
        return next((i for i, e in enumerate(self.events) if e.fatal), 0 if self.events else None)
