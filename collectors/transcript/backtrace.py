"""What crash's sys header and bt print: the machine, the crashed context, its registers and frames.

Formats: crash 7 and 8, kernel.c (display_sys_stats) and x86_64.c (x86_64_print_exception_frame).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from kbmatch.collectors.transcript.session import Command, Session
from kbmatch.engine.signature import Frame
from kbmatch.engine.symbols import strip_decorations
from kbmatch.engine.values import dataclass, field

_HEADER = re.compile(r"^\s*(KERNEL|DUMPFILE|CPUS|NODENAME|RELEASE|VERSION|MACHINE|PANIC|PID|COMMAND|CPU):\s+(.*?)\s*$")
_EXCEPTION = re.compile(r"\[exception RIP: (?P<symbol>[\w.]+)\+(?P<offset>0x[0-9a-f]{1,8}|\d{1,9})\]")
_REGISTER = re.compile(r"\b(RIP|RSP|RFLAGS|R[A-Z]{2}|R[89]|R1[0-5]|ORIG_RAX):\s+([0-9a-f]{4,16})\b")
_FRAME = re.compile(
    r"^\s*#\d+ \[[0-9a-f]+\] (?P<symbol>[\w.]+)(?:\+(?P<offset>\d+|0x[0-9a-f]+))? at (?P<address>[0-9a-f]+)"
    r"(?: \[(?P<module>\w+)\])?"
)
_COMMAND_LINE = re.compile(r"--kaslr[= ](?P<kaslr>0x[0-9a-fA-F]+|\d+)|phys_base[= ](?P<phys>(?:0x)?[0-9a-fA-F]+)")


@dataclass(frozen=True, slots=True)
class ExceptionFrame:
    """The registers of the crashed context as bt printed them; names in lower case, rflags as eflags."""

    symbol: str
    offset: int
    registers: dict[str, int]
    line: int


@dataclass(slots=True)
class SessionFacts:
    """What the session says outside the kernel log. `header` has crash's own keys (RELEASE, CPUS ...)."""

    header: dict[str, tuple[str, int]] = field(default_factory=dict)
    exception: ExceptionFrame | None = None
    frames: tuple[Frame, ...] = ()
    kaslr_offset: int | None = None
    phys_base: int | None = None


def session_facts(session: Session) -> SessionFacts:
    """Collect them from all commands but the logs. The first exception frame is the crash."""
    facts = SessionFacts()
    for command in session.everything():
        if command.name in ("log", "dmesg"):
            continue
        for number, text in _numbered(command):
            found = _HEADER.match(text)
            if found:
                facts.header.setdefault(found[1], (found[2], number))
            for match in _COMMAND_LINE.finditer(text):
                if match["kaslr"]:
                    facts.kaslr_offset = int(match["kaslr"], 0)
                elif match["phys"]:
                    facts.phys_base = int(match["phys"], 16)  # crash reads it as hex without 0x
        if command.name == "bt":
            exception = _exception_frame(command)
            if exception is not None and facts.exception is None:
                facts.exception = exception
            facts.frames = facts.frames or tuple(_frames(command))
    return facts


def _numbered(command: Command) -> Iterator[tuple[int, str]]:
    return enumerate(command.output, command.first_output_line)


def _exception_frame(command: Command) -> ExceptionFrame | None:
    symbol, offset, line = "", 0, 0
    registers: dict[str, int] = {}
    for number, text in _numbered(command):
        if found := _EXCEPTION.search(text):
            if line:
                break  # the next frame, of an outer context
            symbol, offset, line = found["symbol"], _number(found["offset"]), number
        elif line:
            values = _REGISTER.findall(text)
            if not values:
                break
            for name, value in values:
                registers[_register_name(name)] = int(value, 16)
    return ExceptionFrame(strip_decorations(symbol), offset, registers, line) if line else None


def _number(text: str) -> int:
    """Decimal, or hex after 0x, as `set radix 16` has it."""
    return int(text, 16 if text.startswith("0x") else 10)


def _register_name(name: str) -> str:
    """Crash prints R8 where the kernel prints R08, and RFLAGS where it prints EFLAGS."""
    lower = name.lower()
    return {"rflags": "eflags"}.get(lower, lower)


def _frames(command: Command) -> Iterator[Frame]:
    for _, text in _numbered(command):
        found = _FRAME.match(text)
        if found:
            printed = found["symbol"] + (f"+{found['offset']}" if found["offset"] else "")
            offset = int(found["offset"], 0) if found["offset"] else None
            yield Frame(strip_decorations(found["symbol"]), printed, offset, None, found["module"])
