"""What a log text says: the value that every log reader returns."""

from __future__ import annotations

from kbmatch.engine.incident import Kernel, Machine, Note
from kbmatch.engine.signature import Signature
from kbmatch.engine.values import dataclass, field


@dataclass(frozen=True, slots=True)
class LogReading:
    """Kernel, machine, events in log order (the fatal one marked) and notes of one log text.

    `looks_like_log` is False where nothing in the text resembles a kernel log line, so that the caller can refuse a
    file that is no log at all.
    """

    kernel: Kernel = field(default_factory=Kernel)
    machine: Machine = field(default_factory=Machine)
    events: tuple[Signature, ...] = ()
    notes: tuple[Note, ...] = ()
    looks_like_log: bool = False
