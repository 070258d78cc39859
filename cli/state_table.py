"""The driver's state in the text report: one small table a record, and what it means in one sentence."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence

from kbmatch.cli.style import Style, plain_text
from kbmatch.engine.finding import Finding
from kbmatch.engine.incident import Incident, ProbeState, StateRecord
from kbmatch.engine.logic import Truth
from kbmatch.engine.rule import StateCondition
from kbmatch.kb.store.knowledge import KnowledgeBase

MAX_RECORDS = 4
_FIELD = re.compile(r"\{(.*?)\}")


def state_section(
    shown: Sequence[Finding], incident: Incident, knowledge: KnowledgeBase, style: Style, width: int
) -> Iterator[str]:
    """The records that the best findings were judged on, those that satisfy a rule first."""
    conditions: dict[str, StateCondition] = {}
    for finding in shown:
        if finding.verdict is shown[0].verdict:
            for condition in finding.rule.state:
                conditions.setdefault(condition.probe, condition)
    tables = [
        (probe, condition, state)
        for probe, condition in conditions.items()
        if (state := incident.state.get(probe)) is not None and state.records and state.origin != "registers"
    ]
    if not tables:
        return
    yield style.heading("State")
    for probe, condition, state in tables:
        records = _ordered(condition, state)
        found = knowledge.probe(probe)
        for record in records[:MAX_RECORDS]:
            place = "" if record.at is None else f" at 0x{record.at:x}"
            yield f"  {style.bold(probe)}{place}"
            yield from _rows(record, width)
            sentence = _sentence(found.sentence if found is not None else None, record)
            if sentence:
                yield from textwrap.wrap(
                    plain_text(sentence), width, initial_indent="    ", subsequent_indent="    ", break_on_hyphens=False
                )
        if len(records) > MAX_RECORDS:
            yield f"  ... and {len(records) - MAX_RECORDS} more records (--format json has them all)"
    yield ""


def _ordered(condition: StateCondition, state: ProbeState) -> list[StateRecord]:
    """Those that satisfy the rule first."""
    from kbmatch.engine.condition import Reading

    def rank(record: StateRecord) -> bool:
        return condition.any_record.judge(lambda name: Reading(record.values.get(name))).truth is not Truth.TRUE

    return sorted(state.records, key=rank)


def _rows(record: StateRecord, width: int) -> Iterator[str]:
    names = [*record.values, *record.missing]
    longest = max(map(len, names), default=0)
    values = {name: _shown(value) for name, value in record.values.items()}
    column = max([*map(len, values.values()), 1])
    for name, value in values.items():
        where = ""
        if name in record.lines:
            where = f"line {record.lines[name]}"
        elif name in record.addresses:
            where = f"0x{record.addresses[name]:x}"
        yield plain_text(f"    {name:<{longest}}  {value:<{column}}  {where}".rstrip())
    for name, why in record.missing.items():
        yield plain_text(f"    {name:<{longest}}  unknown: {why}")[:width]


def _shown(value: int | str) -> str:
    if isinstance(value, str):
        return value
    if value >= 1 << 40:
        return f"0x{value:x}"
    return f"{value} (0x{value:x})" if value >= 1 << 16 else str(value)


def _sentence(template: str | None, record: StateRecord) -> str:
    if template is None:
        return ""
    kept = [
        _FIELD.sub(lambda found: _shown(record.values[found[1]]), clause)
        for clause in template.split("; ")
        if all(name in record.values for name in _FIELD.findall(clause))
    ]
    return "; ".join(kept) + "." if kept else ""
