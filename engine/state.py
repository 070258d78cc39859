"""Judging a rule's state conditions on the records that probes read."""

from __future__ import annotations

from kbmatch.engine.condition import Reading
from kbmatch.engine.explanation import Explanation
from kbmatch.engine.incident import Incident, ProbeState, StateRecord
from kbmatch.engine.logic import Truth, any_of
from kbmatch.engine.rule import StateCondition

MAX_EXPLAINED = 16
"""Records whose trees an explanation keeps: the true ones first; a machine may have hundreds of queues."""


def judge_state(condition: StateCondition, incident: Incident) -> Explanation:
    """TRUE if one record satisfies the tree, FALSE only if the probe was complete and none does, else UNKNOWN."""
    label = f"a record of {condition.probe}"
    state = incident.state.get(condition.probe)
    if state is None:
        # judged on an empty record, so that the reader sees what would settle it
        wanted = condition.any_record.judge(lambda name: Reading(None, why="no memory to read"))
        return Explanation(Truth.UNKNOWN, label, why="no memory to read", children=(_named(wanted, condition.probe),))
    judged = [
        (record, condition.any_record.judge(lambda name, r=record: _read(state, r, name)))  # type: ignore[misc]
        for record in state.records
    ]
    truth = any_of(tree.truth for _, tree in judged)
    why = None
    if truth is not Truth.TRUE and not state.complete:
        truth = Truth.UNKNOWN
        why = state.why or "not all records were read"
    order = (Truth.TRUE, Truth.UNKNOWN, Truth.FALSE)
    judged.sort(key=lambda pair: order.index(pair[1].truth))
    children = tuple(_named(tree, condition.probe) for _, tree in judged[:MAX_EXPLAINED])
    return Explanation(truth, label, why=why, children=children)


def _read(state: ProbeState, record: StateRecord, name: str) -> Reading:
    value = record.values.get(name)
    if value is None:
        return Reading(None, why=record.missing.get(name, "not read"))
    if name in record.lines:
        source: str | None = f"line {record.lines[name]}"
    elif name in record.registers:
        source = f"register {record.registers[name]}"
    elif name in record.addresses:
        source = f"address 0x{record.addresses[name]:x}"
    else:
        source = state.origin
    return Reading(value, source)


def _named(tree: Explanation, probe: str) -> Explanation:
    """The tree with its facts named "probe/field", so that evidence of several probes can be told apart."""
    return Explanation(
        tree.truth,
        tree.label,
        f"{probe}/{tree.fact}" if tree.fact is not None else None,
        tree.observed,
        tree.source,
        tree.why,
        tuple(_named(child, probe) for child in tree.children),
    )
