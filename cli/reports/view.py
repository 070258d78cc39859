"""What a report shows, in its order, before it becomes HTML or Markdown: one place decides what is said."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from kbmatch.cli.not_kernel import shown_findings
from kbmatch.cli.wording import (
    advice,
    differential,
    event_lines,
    headline,
    kernel_name,
    machine_name,
    version_phrase,
)
from kbmatch.engine.condition import show
from kbmatch.engine.finding import Diagnosis, Finding
from kbmatch.engine.fingerprint import Fingerprint, fingerprint
from kbmatch.engine.incident import Incident, ProbeState
from kbmatch.engine.signature import Frame, Signature
from kbmatch.engine.values import dataclass, field
from kbmatch.engine.verdict import Verdict
from kbmatch.kb.store.knowledge import KnowledgeBase

MAX_RECORDS = 64
MAX_FRAMES = 64
MAX_OTHERS = 30
MAX_NOTES = 30
_REPORT_LINES = 150
"""Lines behind a report's head in which what it says is looked for."""
_LINE = re.compile(r"line (\d{1,9})$")


@dataclass(frozen=True, slots=True)
class EvidenceRow:
    """One fact that speaks for the verdict: its value and where it stands, in words."""

    fact: str
    value: str
    source: str


@dataclass(frozen=True, slots=True)
class StateTable:
    """The records of one probe: `rows` are (field, values by record); `telling` the cells (row, column) of evidence."""

    probe: str
    origin: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]
    telling: frozenset[tuple[int, int]]
    left_out: int


@dataclass(frozen=True, slots=True)
class ReportView:
    """Everything that a report shows. Texts are raw: whoever prints them makes them safe for his medium.

    `log` is the log's lines, empty where it is not at hand; `marked` says why a line (1-based) matters.
    """

    word: str
    sentence: str
    outcome: str
    findings: tuple[Finding, ...]
    differential: tuple[str, ...]
    crash: tuple[tuple[str, str], ...]
    evidence: tuple[EvidenceRow, ...]
    advice: tuple[str, ...]
    tables: tuple[StateTable, ...]
    event: Signature | None
    frames: tuple[Frame, ...]
    registers: tuple[tuple[str, str], ...]
    others: tuple[str, ...]
    notes: tuple[tuple[str, str], ...]
    machine: tuple[tuple[str, str], ...]
    fingerprint: Fingerprint | None
    knowledge: str
    source: str
    log: tuple[str, ...] = ()
    marked: dict[int, tuple[str, ...]] = field(default_factory=dict)


def report_view(diagnosis: Diagnosis, knowledge: KnowledgeBase, log: bytes | None) -> ReportView:
    """The view of a diagnosis; `log` is the text in which the events' lines count, None if it is not at hand."""
    incident = diagnosis.incident
    index = incident.fatal_index
    event = None if index is None else incident.events[index]
    own = [f for f in diagnosis.findings if f.event == index and f.event is not None]
    shown = shown_findings(own, diagnosis.outcome)
    word, sentence = headline(diagnosis, shown, knowledge)
    best = tuple(f for f in shown if f.verdict is shown[0].verdict)
    lines = tuple(log_lines(log)) if log is not None else ()
    source = incident.source
    return ReportView(
        word=word,
        sentence=sentence,
        outcome=diagnosis.outcome,
        findings=best,
        differential=tuple(differential(list(best), own)),
        crash=_crash_rows(incident, event),
        evidence=tuple(_evidence(best, incident)),
        advice=tuple(advice(diagnosis, shown, own, knowledge)),
        tables=tuple(_table(name, state, best) for name, state in incident.state.items() if state.records),
        event=event,
        frames=_frames(event),
        registers=_registers(event),
        others=tuple(_others(diagnosis)),
        notes=tuple((note.level, note.text) for note in incident.notes[:MAX_NOTES]),
        machine=tuple(_machine(incident)),
        fingerprint=fingerprint(event, knowledge.helper_frames, incident.kernel.release) if event else None,
        knowledge=knowledge.stamp.line(),
        source=f"{source.path} ({source.format}, {source.bytes} bytes)",
        log=lines,
        marked=_marked(best, event, lines),
    )


def log_lines(log: bytes) -> list[str]:
    """The lines of a log as events count them: split at line feeds alone, without trailing carriage returns."""
    lines = [line.rstrip("\r") for line in log.decode("utf-8", "replace").split("\n")]
    return lines[:-1] if lines and not lines[-1] else lines


def _crash_rows(incident: Incident, event: Signature | None) -> tuple[tuple[str, str], ...]:
    if event is None:
        return ()
    rows = [("kind", event.kind), *event_lines(event), ("kernel", kernel_name(incident.kernel))]
    if (machine := machine_name(incident.machine)) is not None:
        rows.append(("machine", machine))
    return tuple(rows)


def _evidence(best: Sequence[Finding], incident: Incident) -> Iterator[EvidenceRow]:
    rows: dict[EvidenceRow, None] = {}
    for finding in best:
        for item in finding.evidence:
            rows[EvidenceRow(item.fact, show(item.value, item.fact == "address"), item.source or "")] = None
        for condition in finding.rule.state:
            if (state := incident.state.get(condition.probe)) is not None:
                rows[EvidenceRow(condition.probe, f"read from the {state.origin}", state.why or "")] = None
        if finding.verdict is not Verdict.NOT_A_KERNEL_BUG or finding.rule.affected:
            rows[EvidenceRow("version", version_phrase(finding), "")] = None
    yield from rows


def _table(probe: str, state: ProbeState, best: Sequence[Finding]) -> StateTable:
    """Fields down, records across: a driver has many fields and, on most machines, few queues."""
    records = state.records[:MAX_RECORDS]
    names = dict.fromkeys(name for r in records for name in (*r.values, *r.missing))
    tests = {
        item.fact.removeprefix(f"{probe}/"): item.value
        for finding in best
        for item in finding.evidence
        if item.fact.startswith(f"{probe}/")
    }
    rows = []
    telling: set[tuple[int, int]] = set()
    for row, name in enumerate(names):
        cells = []
        for column, record in enumerate(records):
            value = record.values.get(name)
            cells.append(show(value) if value is not None else record.missing.get(name, "not read"))
            if value is not None and name in tests and tests[name] == value:
                telling.add((row, column))
        rows.append((name, tuple(cells)))
    columns = tuple(f"0x{r.at:x}" if r.at is not None else f"record {i}" for i, r in enumerate(records, 1))
    why = "" if state.complete else f", not complete: {state.why or 'not all records were read'}"
    left_out = len(state.records) - len(records)
    return StateTable(probe, f"read from the {state.origin}{why}", columns, tuple(rows), frozenset(telling), left_out)


def _frames(event: Signature | None) -> tuple[Frame, ...]:
    if event is None:
        return ()
    trace = event.trace or (event.tasks[0].trace if event.tasks else ())
    return trace[:MAX_FRAMES]


def _registers(event: Signature | None) -> tuple[tuple[str, str], ...]:
    if event is None:
        return ()
    return tuple((name, "not printed" if value is None else f"{value:016x}") for name, value in event.registers.items())


def _machine(incident: Incident) -> Iterator[tuple[str, str]]:
    kernel, machine = incident.kernel, incident.machine
    values: tuple[tuple[str, object], ...] = (
        ("release", kernel.release),
        ("version", kernel.version),
        ("package", kernel.package_version),
        ("product", kernel.product and kernel.product + (f", stream {kernel.stream}" if kernel.stream else "")),
        ("upstream base", kernel.upstream_base),
        ("architecture", kernel.arch),
        ("build id", kernel.build_id),
        ("taint", None if kernel.taint is None else " ".join(kernel.taint) or "none"),
        ("live-patched", {True: "yes", False: "no", None: None}[kernel.livepatched]),
        ("KASLR offset", None if kernel.kaslr_offset is None else f"0x{kernel.kaslr_offset:x}"),
        ("phys_base", None if kernel.phys_base is None else f"{kernel.phys_base:#x}"),
        ("hardware", machine.hardware),
        ("hypervisor", machine.hypervisor),
        ("CPUs", machine.cpus),
        ("host", machine.hostname),
    )
    yield from ((name, str(value)) for name, value in values if value is not None)


def _others(diagnosis: Diagnosis) -> Iterator[str]:
    """The other events of the log, and what is known of them."""
    fatal = diagnosis.incident.fatal_index
    given = 0
    for index, event in enumerate(diagnosis.incident.events):
        if index == fatal:
            continue
        if given == MAX_OTHERS:
            yield f"... and {len(diagnosis.incident.events) - 1 - given} more"
            break
        given += 1
        found = next((f for f in diagnosis.of_event(index) if f.verdict.shown), None)
        known = f" - {found.verdict.value}: {found.rule.id}" if found else ""
        place = f"line {event.line}: " if event.line is not None else ""
        yield f"{place}{event.kind} in {event.symbol or 'an unknown function'}{known}"
    for finding in diagnosis.of_event(None):
        if finding.verdict.shown:
            yield f"memory alone: {finding.verdict.value}: {finding.rule.title} ({finding.rule.id})"


def _marked(best: Sequence[Finding], event: Signature | None, log: Sequence[str]) -> dict[int, tuple[str, ...]]:
    """Why a line matters, by its number: the event's head, and the facts of the verdict where they are printed."""
    found: dict[int, dict[str, None]] = {}
    if event is not None and event.line is not None:
        found.setdefault(event.line, {})["the crash"] = None
    for finding in best:
        for item in finding.evidence:
            match = _LINE.search(item.source or "")
            if match:
                for value in item.value if isinstance(item.value, tuple) else (item.value,):
                    found.setdefault(_printed_at(value, int(match[1]), log), {})[item.fact] = None
    return {line: tuple(why) for line, why in sorted(found.items())}


def _printed_at(value: int | str | None, line: int, log: Sequence[str]) -> int:
    """The line that prints the value: the one named, or one of the same report behind it (only its head is known)."""
    if value is None or value == "":
        return line
    text = re.escape(value) if isinstance(value, str) else rf"(?:0x)?0*{value:x}"
    pattern = re.compile(rf"(?<![\w]){text}(?![\w])")
    for number in range(line, min(len(log), line + _REPORT_LINES) + 1):
        if pattern.search(log[number - 1]):
            return number
    return line
