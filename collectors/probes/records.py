"""Reads the fields of a probe's records."""

from __future__ import annotations

from kbmatch.collectors.probes.evaluator import Evaluator, Exhausted
from kbmatch.collectors.probes.value import Unknown, Value
from kbmatch.engine.expression import Expression
from kbmatch.engine.incident import StateRecord
from kbmatch.engine.probe import Probe, ProbeField

MAX_COUNT = 4096


def read_record(probe: Probe, evaluator: Evaluator, address: int) -> StateRecord:
    """The record at an address; what cannot be known is missing, with the reason. Raises Exhausted."""
    pointer = evaluator.types.resolve(f"{probe.type_name} *")
    evaluator.variables[probe.variable] = Value(pointer, address)
    values: dict[str, int | str] = {}
    addresses: dict[str, int] = {}
    missing: dict[str, str] = {}
    for field in probe.record:
        try:
            value, place = _read(field, evaluator)
        except Exhausted:
            raise
        except Unknown as error:
            missing[field.name] = str(error)
            continue
        values[field.name] = value
        if place is not None:
            addresses[field.name] = place
    del evaluator.variables[probe.variable]
    return StateRecord(address, values, addresses, missing)


def _read(field: ProbeField, evaluator: Evaluator) -> tuple[int | str, int | None]:
    reason: Unknown | None = None
    for expression in (field.expression, *field.others):
        try:
            if field.counter is not None:
                return _count(expression, field.counter, evaluator), None
            if field.type == "text":
                return evaluator.text(expression)
            value = evaluator.scalar(expression)
            assert value.number is not None
            # the contract's integers are unsigned; a negative one keeps its sign
            return value.number, value.address
        except Exhausted:
            raise
        except Unknown as error:
            reason = reason or error
    assert reason is not None
    raise reason


def _count(expression: Expression, counter: str, evaluator: Evaluator) -> int:
    from kbmatch.collectors.types.model import S32

    try:
        for number in range(MAX_COUNT):
            evaluator.variables[counter] = Value(S32, number)
            if not evaluator.holds(expression):
                return number
        return MAX_COUNT
    finally:
        evaluator.variables.pop(counter, None)
