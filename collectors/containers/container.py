"""What every dump container offers, whatever its format: physical memory, notes, VMCOREINFO."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from kbmatch.engine.values import dataclass


@dataclass(frozen=True, slots=True)
class ElfNote:
    """One ELF note: the owner's name ("CORE", "QEMU", "VMCOREINFO", "Xen"), its type, its descriptor's"
    " bytes.
    """

    name: str
    type: int
    desc: bytes


@dataclass(frozen=True, slots=True)
class CpuRegisters:
    """Registers of one CPU as the dump's header or notes hold them.

    `cpu` is the position among the notes (CPUs that did not answer may be missing, so it need not be the
    kernel's number); `registers` has the kernel's lower-case names ("rip", "rsp", "cr3", "pc", "sp", "x0"),
    unsigned. `pid` is the note's pr_pid: the interrupted task in a kdump, the CPU number + 1 in QEMU's dumps.
    `origin` is "prstatus", "qemu" or "xen".
    """

    cpu: int
    registers: dict[str, int]
    pid: int | None = None
    origin: str = "prstatus"


class Container(Protocol):
    """A dump file of any format.

    `format` is the name in the signature JSON, `size` the input's bytes, `machine` the kernel's name of the
    architecture ("x86_64", "aarch64"), `page_size` in bytes. `vmcoreinfo` is the text of the VMCOREINFO note,
    None without one. `phys_base` and `cpus` are what the container itself tells, None where it does not.
    """

    format: str
    size: int
    machine: str
    page_size: int
    vmcoreinfo: bytes | None
    notes: list[ElfNote]
    registers: list[CpuRegisters]
    phys_base: int | None
    cpus: int | None

    @property
    def problems(self) -> list[str]:
        """Lines about damage, for the user, in the order found; reading pages may find more."""
        ...

    def read_physical(self, address: int, length: int) -> bytes:
        """Exactly `length` bytes of guest-physical memory.

        Raises NotInDump where a byte was left out of the dump or lies behind the end of a cut file.
        """
        ...

    def physical_ranges(self, start: int = 0, end: int = 1 << 64) -> Iterator[tuple[int, int]]:
        """Ranges (start, end) of physical memory in the file between two addresses, ascending and disjoint."""
        ...

    def table_address(self, address: int) -> int:
        """The guest-physical address for a frame address found in cr3 or a page-table entry.

        The same, but for Xen PV guests, whose tables hold machine frames. Raises NotInDump.
        """
        ...

    def close(self) -> None:
        """Give the file back."""
        ...
