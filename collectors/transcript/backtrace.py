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
    r"^[\s>]*#?\s?\d{1,3} \[[0-9a-f]+\] (?P<symbol>[\w.]+)(?:\+(?P<offset>\d+|0x[0-9a-f]+))? at (?P<address>[0-9a-f]+)"
    r"(?: \[(?P<module>\w+)\])?"
)
# Functions through which the kernel reports a crash of a kind: arch/x86/kernel/traps.c, arch/x86/mm/fault.c,
# arch/x86/entry/entry_64.S (with asm_exc_ since 5.8), kernel/watchdog.c, kernel/hung_task.c, drivers/tty/sysrq.c.
_ENTRIES: tuple[tuple[frozenset[str], str], ...] = (
    (frozenset({"sysrq_handle_crash"}), "sysrq"),
    (frozenset({"watchdog_timer_fn", "watchdog"}), "soft-lockup"),
    (frozenset({"watchdog_overflow_callback", "watchdog_hardlockup_check"}), "hard-lockup"),
    (frozenset({"check_hung_uninterruptible_tasks", "check_hung_task"}), "hung-task"),
    (
        frozenset({"page_fault_oops", "no_context", "page_fault", "async_page_fault", "asm_exc_page_fault"}),
        "page-fault",
    ),
    (frozenset({"general_protection", "do_general_protection", "asm_exc_general_protection"}), "gpf"),
    (frozenset({"invalid_op", "do_invalid_op", "asm_exc_invalid_op"}), "bug"),
    (frozenset({"double_fault", "do_double_fault", "asm_exc_double_fault"}), "double-fault"),
    (frozenset({"divide_error", "do_divide_error", "asm_exc_divide_error"}), "divide-error"),
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
            _add_backtrace(command, facts)
    if facts.exception is None and not facts.frames:  # pasted without its prompt
        _add_backtrace(session.everything()[0], facts)
    return facts


def _add_backtrace(command: Command, facts: SessionFacts) -> None:
    if facts.exception is None:
        facts.exception = _exception_frame(command)
    facts.frames = facts.frames or tuple(_frames(command))


def kind_of_entry(frames: tuple[Frame, ...]) -> str | None:
    """Which kind of crash the frames between the dump and the crashed code tell; None if they do not."""
    return next((kind for frame in frames for names, kind in _ENTRIES if frame.symbol in names), None)


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
