"""Finds a probe's records among the structs that a session printed."""

from __future__ import annotations

from kbmatch.collectors.transcript.evaluate import Evaluator, NotPrinted, Printouts
from kbmatch.collectors.transcript.structs import Printed, PrintedStruct
from kbmatch.engine.incident import ProbeState, StateRecord
from kbmatch.engine.probe import Probe, RegisterRoot
from kbmatch.engine.signature import Signature

MIN_FIELDS = 2
"""Integer fields that a print of another type must show before it is taken for a record: a struct that somebody has
shortened keeps its head line, and the members that follow may be the enclosing struct's."""


def read_records(probe: Probe, printouts: Printouts, event: Signature | None, arch: str | None) -> ProbeState | None:
    """The records that the session shows, None if it shows none.

    Complete only for the crash at hand: a register of the crashed context must point to the struct printed.
    """
    found: list[tuple[StateRecord, str | None]] = []
    for struct in printouts.structs:
        record = _record(probe, printouts, struct)
        if record is not None:
            found.append((record, _register_of(probe, struct, event, arch)))
    if not found:
        return None
    crashed = [(record, register) for record, register in found if register is not None]
    if crashed:
        why = f"the session printed the one that register {crashed[0][1]} of the crash points to"
        return ProbeState(True, "transcript", tuple(record for record, _ in crashed), why)
    records = tuple(record for record, _ in found)
    return ProbeState(False, "transcript", records, "nothing shows that the session printed the one that crashed")


def _record(probe: Probe, printouts: Printouts, struct: PrintedStruct) -> StateRecord | None:
    root = next((root for root in probe.roots if root.type_name == struct.type_name), None)
    if struct.type_name != probe.type_name and root is None:
        return None
    members = dict(struct.members)
    if root is not None:
        members.setdefault(root.member, Printed(struct.members, struct.line))
    evaluator = Evaluator(printouts, probe, Printed(members, struct.line))
    values: dict[str, int | str] = {}
    lines: dict[str, int] = {}
    missing: dict[str, str] = {}
    for field in probe.record:
        try:
            if field.counter is not None:
                shown = evaluator.count(field.expression, field.counter)
            else:
                shown = evaluator.evaluate(field.expression)
        except NotPrinted as error:
            missing[field.name] = str(error)
            continue
        if isinstance(shown.value, str if field.type == "text" else int):
            assert isinstance(shown.value, (int, str))
            values[field.name] = shown.value
            lines[field.name] = shown.line
        else:
            missing[field.name] = "printed as something else"
    numbers = sum(isinstance(value, int) for value in values.values())
    if numbers < (1 if struct.type_name == probe.type_name else MIN_FIELDS):
        return None
    return StateRecord(struct.address, values, {}, missing, lines)


def _register_of(probe: Probe, struct: PrintedStruct, event: Signature | None, arch: str | None) -> str | None:
    """The register of the crashed context that holds the struct's address."""
    if event is None or struct.address is None:
        return None
    for root in _roots_of(probe, struct):
        for name in root.registers.get(arch or "x86_64", ()):
            if event.registers.get(name) == struct.address:
                return name
    return None


def _roots_of(probe: Probe, struct: PrintedStruct) -> tuple[RegisterRoot, ...]:
    return tuple(root for root in probe.roots if root.type_name == struct.type_name)
