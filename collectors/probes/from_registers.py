"""The register file as evidence, where there is no memory: a log shows the registers and the code around the fault.

A probe says for which compiled code (or build id) its registers mean what; nothing is read where that does not fit.
"""

from __future__ import annotations

from collections.abc import Iterable

from kbmatch.collectors.probes.evaluator import Budget, Evaluator
from kbmatch.collectors.probes.value import Unknown, Value
from kbmatch.collectors.types.catalogue import TypeCatalogue
from kbmatch.collectors.types.model import U64
from kbmatch.engine.code_pattern import parse_code_pattern
from kbmatch.engine.incident import Kernel, ProbeState, StateRecord
from kbmatch.engine.probe import Probe, ProbeSource, RegisterRecord
from kbmatch.engine.signature import Signature

ORIGIN = "registers"


def states_from_registers(events: Iterable[Signature], kernel: Kernel, source: ProbeSource) -> dict[str, ProbeState]:
    """State by probe id, as far as the registers of the fatal event tell. Never raises."""
    event = next((e for e in events if e.fatal), None)
    if event is None or event.code is None or not event.registers:
        return {}
    if event.instruction is not None and event.instruction.explains_address is False:
        return {}  # registers, code and address are not of one fault
    found: dict[str, ProbeState] = {}
    for head in source.probe_heads():
        if not head.by_registers or event.module not in (head.module, "", None):
            continue
        probe = source.probe(head.id)
        record = _first_record(probe, event, kernel) if probe is not None else None
        if record is not None:
            why = "the code at the fault is the one that the probe knows; memory was not needed"
            found[head.id] = ProbeState(True, ORIGIN, (record,), why)
    return found


def _first_record(probe: Probe, event: Signature, kernel: Kernel) -> StateRecord | None:
    for known in probe.register_records:
        if _is_the_code(known, event, kernel):
            record = _read(known, event)
            if record is not None:
                return record
    return None


def _is_the_code(known: RegisterRecord, event: Signature, kernel: Kernel) -> bool:
    if kernel.arch != known.arch:
        return False
    if known.build_id is not None and known.build_id != kernel.build_id:
        return False
    return known.code is None or parse_code_pattern(known.code).matches(event.code or "") is True


def _read(known: RegisterRecord, event: Signature) -> StateRecord | None:
    variables = {name: Value(U64, value, register=name) for name, value in event.registers.items() if value is not None}
    evaluator = Evaluator(TypeCatalogue(()), None, None, Budget(10_000), variables)
    values: dict[str, int | str] = {}
    registers: dict[str, str] = {}
    try:
        if not evaluator.holds(known.where):
            return None
        for name, expression in known.record.items():
            value = evaluator.scalar(expression)
            assert value.number is not None
            values[name] = value.number
            if value.register is not None:
                registers[name] = value.register
    except Unknown:
        return None
    return StateRecord(None, values, registers=registers)
