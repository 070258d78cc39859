"""From the text of a crash(8) session to a reading: the log it shows, completed by bt, sys and struct outputs."""

from __future__ import annotations

import re

from kbmatch.collectors.logs.console import read_log
from kbmatch.collectors.logs.reading import LogReading
from kbmatch.collectors.transcript.backtrace import ExceptionFrame, SessionFacts, kind_of_entry, session_facts
from kbmatch.collectors.transcript.evaluate import Printouts
from kbmatch.collectors.transcript.memory_words import PrintedMemory
from kbmatch.collectors.transcript.records import read_records
from kbmatch.collectors.transcript.session import Session, log_lines_only, split_session
from kbmatch.collectors.transcript.structs import printed_structs
from kbmatch.engine.incident import Kernel, Machine, Note, ProbeState
from kbmatch.engine.probe import ProbeSource
from kbmatch.engine.signature import Signature
from kbmatch.engine.values import dataclass, field, replace


@dataclass(frozen=True, slots=True)
class TranscriptReading:
    """A log reading, and what the session printed of drivers' state, by probe id."""

    log: LogReading
    state: dict[str, ProbeState] = field(default_factory=dict)


def read_transcript(data: bytes, probes: ProbeSource) -> TranscriptReading:
    """Read a session. Never raises on any bytes; line numbers are those of `data`."""
    session = split_session(data)
    facts = session_facts(session)
    log = read_log(log_lines_only(session, data.count(b"\n") + 1))
    if not log.events:
        log = _from_preamble(session, facts) or _without_log(log, facts)
    events = list(log.events)
    fatal = next((i for i, e in enumerate(events) if e.fatal), None)
    if fatal is not None and facts.exception is not None:
        events[fatal] = _with_exception(events[fatal], facts.exception)
    kernel = _kernel(log.kernel, facts)
    machine = replace(
        log.machine,
        cpus=log.machine.cpus or _leading_number(facts, "CPUS"),
        hostname=log.machine.hostname or _text(facts, "NODENAME"),
    )
    state, notes = _state(session, probes, events[fatal] if fatal is not None else None, kernel.arch)
    reading = LogReading(kernel, machine, tuple(events), (*log.notes, *notes), looks_like_log=True)
    return TranscriptReading(reading, state)


def _state(
    session: Session, probes: ProbeSource, event: Signature | None, arch: str | None
) -> tuple[dict[str, ProbeState], tuple[Note, ...]]:
    """What the probes find among the structs printed, and notes on structs that were printed with a wrong type."""
    structs = tuple(struct for command in session.commands for struct in printed_structs(command))
    if not structs:
        return {}, ()
    memory = PrintedMemory()
    for command in session.commands:
        memory.add_rd(command)
    printouts = Printouts(structs, memory)
    found = ((probe.id, read_records(probe, printouts, event, arch)) for probe in probes.probes())
    state = {probe_id: state for probe_id, state in found if state is not None}
    return state, tuple(Note("info", text) for text in printouts.misread)


def _text(facts: SessionFacts, key: str) -> str | None:
    value = facts.header.get(key, ("", 0))[0]
    return value if value and value != "(none)" else None


def _leading_number(facts: SessionFacts, key: str) -> int | None:
    found = re.match(r"\d{1,6}", facts.header.get(key, ("", 0))[0])
    return int(found[0]) if found else None


def _kernel(kernel: Kernel, facts: SessionFacts) -> Kernel:
    """The log's kernel, completed by crash's header; its VERSION is longer than the CPU line's "#2"."""
    version = _text(facts, "VERSION")
    if version is None or (kernel.version and not version.startswith(kernel.version)):
        version = kernel.version
    machine = _text(facts, "MACHINE")
    return replace(
        kernel,
        release=kernel.release or _text(facts, "RELEASE"),
        version=version,
        arch=kernel.arch or (machine.split()[0] if machine else None),
        kaslr_offset=kernel.kaslr_offset if kernel.kaslr_offset is not None else facts.kaslr_offset,
        phys_base=kernel.phys_base if kernel.phys_base is not None else facts.phys_base,
    )


def _with_exception(event: Signature, frame: ExceptionFrame) -> Signature:
    """Add registers that the log did not show (the raw RIP above all), if bt shows the same place."""
    if event.symbol != frame.symbol or (event.offset is not None and event.offset != frame.offset):
        return event
    registers = dict(event.registers)
    for name, value in frame.registers.items():
        if registers.get(name) is None:
            registers[name] = value
    return replace(event, registers=registers)


def _from_preamble(session: Session, facts: SessionFacts) -> LogReading | None:
    """A write-up that quotes the log before its first prompt; where the quote is cut, bt gives place and trace."""
    log = read_log("\n".join(session.preamble).encode("utf-8", "replace"))
    if not log.events:
        return None
    events = list(log.events)
    fatal = next((i for i, e in enumerate(events) if e.fatal), 0)
    event, frame = events[fatal], facts.exception
    if not event.trace:
        place = frame if frame is not None and event.symbol is None else None
        events[fatal] = replace(
            event,
            symbol=place.symbol if place else event.symbol,
            offset=place.offset if place else event.offset,
            printed=f"{place.symbol}+0x{place.offset:x}" if place else event.printed,
            trace=facts.frames,
        )
    return replace(log, events=tuple(events))


def _without_log(log: LogReading, facts: SessionFacts) -> LogReading:
    """A session without its log: the PANIC line of crash's header is the event, bt its trace."""
    panic, line = facts.header.get("PANIC", ("", 0))
    panic = panic.removesuffix(" (check log for details)").strip('"')
    entry = kind_of_entry(facts.frames)
    if not panic and facts.exception is None and entry is None:
        return log
    parsed = read_log(panic.encode()).events
    event = parsed[0] if parsed else Signature("other", panic or "no panic message")
    if event.kind in ("other", "panic") and entry is not None:
        event = replace(event, kind=entry)
    frame = facts.exception
    event = replace(
        event,
        fatal=True,
        line=line or (frame.line if frame else None),
        cpu=_leading_number(facts, "CPU"),
        pid=_leading_number(facts, "PID"),
        comm=_text(facts, "COMMAND") and (_text(facts, "COMMAND") or "").strip('"'),
        symbol=frame.symbol if frame else event.symbol,
        offset=frame.offset if frame else event.offset,
        printed=f"{frame.symbol}+0x{frame.offset:x}" if frame else event.printed,
        registers=frame.registers if frame else event.registers,
        trace=facts.frames,
        lines={},
    )
    note = Note("info", "the session shows no kernel log: the event was read from crash's header and bt")
    return replace(log, events=(event,), notes=(*log.notes, note), machine=log.machine or Machine())
