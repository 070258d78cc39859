"""The errors of kbmatch, as a tree.

    KbmatchError                 root: everything that kbmatch raises on purpose
    |- InputError                what the user handed in cannot be used
    |  |- UnreadableInput        missing, a folder without a crash, no permission, I/O error
    |  |- NotACrashFile          read, but neither log nor dump nor freeze file
    |  |- UnsupportedFormat      recognised, but kbmatch cannot read it; the message says what can
    |  |- DamagedDump            a dump of which nothing useful could be read
    |  `- FreezeError            a signature JSON that breaks its contract
    |- KnowledgeError            rules, probes, layouts, products; carries Diagnostics
    `- MemoryUnavailable         an address that cannot be read; never shown to users as such
       |- NotInDump              the page was left out of the dump
       `- NotMapped              no page table entry leads there

Each message says what, where (file:line:column, offset or address) and what to do.
"""

from __future__ import annotations

from collections.abc import Iterable

from kbmatch.engine.values import dataclass


class KbmatchError(Exception):
    """Root of all errors that kbmatch raises on purpose; its text is one clear line for the user."""


class InputError(KbmatchError):
    """The input cannot be used."""


class UnreadableInput(InputError):
    """The input could not be read at all: missing, no permission, an I/O error, a folder without a crash."""


class NotACrashFile(InputError):
    """The input was read, but is neither a log nor a dump nor a freeze file."""


class UnsupportedFormat(InputError):
    """The format was recognised, but kbmatch does not read it; the text says what to do instead."""


class DamagedDump(InputError):
    """A dump of which nothing useful could be read; the text names the offset."""


class FreezeError(InputError):
    """A freeze file (signature JSON) that breaks its contract; the text names the JSON path."""


@dataclass(frozen=True, slots=True, order=True)
class Diagnostic:
    """One thing wrong with a knowledge file: where it is, a stable code, what it is and what to do.

    `line` and `column` count from 1.
    """

    file: str
    line: int
    column: int
    code: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.code}: {self.message}"


class KnowledgeError(KbmatchError):
    """Rules, probes or tables that cannot be used. `diagnostics` holds everything found, not only the first."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(sorted(diagnostics))
        super().__init__("\n".join(str(d) for d in self.diagnostics))


class MemoryUnavailable(KbmatchError):
    """An address whose content is not known. `address` is the address asked for."""

    def __init__(self, address: int, why: str) -> None:
        self.address = address
        super().__init__(f"0x{address:x}: {why}")


class NotInDump(MemoryUnavailable):
    """The page exists but was left out of the dump (or the file was cut): unknown, never zeros."""


class NotMapped(MemoryUnavailable):
    """No page table entry leads to the virtual address."""
