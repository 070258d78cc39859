"""How to verify a diagnosis by hand: commands for crash and drgn, made of the facts and the probes.

Sources: crash's help pages (log, bt, dis, mod, struct, p, rd), drgn's user guide (Program, Object, stack traces).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from kbmatch.cli.style import plain_text
from kbmatch.engine.finding import Diagnosis
from kbmatch.engine.incident import StateRecord
from kbmatch.engine.probe import Probe
from kbmatch.engine.signature import Signature
from kbmatch.kb.store.knowledge import KnowledgeBase

_NAME = re.compile(r"[A-Za-z_][\w.]{0,200}")
_CHAIN = re.compile(r"[A-Za-z_]\w*(?:(?:->|\.)[A-Za-z_]\w*|\[\d+\])*")
_KERNEL_HALF = 1 << 63
MAX_RECORDS = 8


def by_hand(diagnosis: Diagnosis, knowledge: KnowledgeBase) -> str:
    """A Markdown page of commands; every name from the input is checked before it stands in one."""
    return "\n".join(_lines(diagnosis, knowledge)) + "\n"


def _lines(diagnosis: Diagnosis, knowledge: KnowledgeBase) -> Iterator[str]:
    incident = diagnosis.incident
    kernel = incident.kernel
    index = incident.fatal_index
    event = None if index is None else incident.events[index]
    release = plain_text(kernel.release or "unknown")
    probes = [p for name in _wanted(diagnosis) if (p := knowledge.probe(name)) is not None]
    yield "# Verify by hand"
    yield ""
    yield f"You need the vmcore and the debuginfo (vmlinux) of exactly this kernel: {release}"
    if kernel.build_id and re.fullmatch(r"[0-9a-f]{8,64}", kernel.build_id):
        yield f"(build id {kernel.build_id}; `eu-readelf -n vmlinux` shows it)."
    yield ""
    yield "## crash"
    yield ""
    yield "```"
    kaslr = f" --kaslr=0x{kernel.kaslr_offset:x}" if kernel.kaslr_offset else ""
    base = f" --machdep phys_base=0x{kernel.phys_base:x}" if kernel.phys_base and kernel.phys_base > 0 else ""
    yield f"$ crash{kaslr}{base} vmlinux vmcore"
    yield "crash> sys"
    yield "crash> log"
    yield "crash> bt"
    if event is not None:
        yield from _crash_event(event)
    for probe in probes:
        yield from _crash_probe(probe, incident.state.get(probe.id), event)
    yield "```"
    yield ""
    yield "## drgn"
    yield ""
    yield "```"
    yield "$ drgn -c vmcore -s vmlinux"
    yield ">>> print(prog.crashed_thread().stack_trace())"
    yield ">>> from drgn.helpers.linux.printk import print_dmesg; print_dmesg()"
    for probe in probes:
        yield from _drgn_probe(probe, incident.state.get(probe.id))
    yield "```"
    for probe in probes:
        yield ""
        yield f"## What {probe.id} reads"
        yield ""
        yield f"Records of `{probe.type_name}`, called `{probe.variable}`:"
        yield ""
        yield from (f"- {item.name}: `{item.source}`" for item in probe.record)
    for finding in diagnosis.findings:
        tests = [leaf.label for tree in finding.state for leaf in tree.leaves()]
        if tests and finding.event == index:
            yield ""
            yield f"{finding.rule.id} ({finding.verdict.value}) needs one record with: {' and '.join(tests)}."


def _wanted(diagnosis: Diagnosis) -> list[str]:
    """The probes that rules on the fatal event ask for, in the order of the findings."""
    index = diagnosis.incident.fatal_index
    return list(dict.fromkeys(c.probe for f in diagnosis.findings if f.event == index for c in f.rule.state))


def _crash_event(event: Signature) -> Iterator[str]:
    if event.module and _NAME.fullmatch(event.module):
        yield f"crash> mod -s {event.module}"
    if event.symbol and _NAME.fullmatch(event.symbol):
        offset = f"+{event.offset}" if event.offset else ""
        yield f"crash> dis -rl {event.symbol}{offset} | tail -20"
    if event.tasks and event.tasks[0].pid is not None:
        yield f"crash> bt {event.tasks[0].pid}"


def _crash_probe(probe: Probe, state: object, event: Signature | None) -> Iterator[str]:
    records = _addressed(state)
    for record in records:
        yield f"crash> {probe.type_name} 0x{record.at:x}"
        for item in probe.record:
            if item.type == "integer" and item.counter is None and _CHAIN.fullmatch(item.source):
                text = re.sub(
                    rf"^{re.escape(probe.variable)}\b", f"(({probe.type_name} *)0x{record.at:x})", item.source
                )
                value = record.values.get(item.name)
                said = (
                    f"     # {item.name}: kbmatch read {value:#x}" if isinstance(value, int) else f"     # {item.name}"
                )
                yield f"crash> p {text}{said}"
    if records or event is None:
        return
    for root in probe.roots:
        for name in root.registers.get("x86_64", ()):
            value = event.registers.get(name)
            if value is not None and value >= _KERNEL_HALF:
                member = f", the member {root.member} of {probe.type_name}" if root.member else ""
                yield f"crash> {root.type_name} 0x{value:x}     # {name} may point to one{member}"


def _drgn_probe(probe: Probe, state: object) -> Iterator[str]:
    variable = probe.variable if _NAME.fullmatch(probe.variable) else "record"
    for record in _addressed(state):
        yield f'>>> {variable} = Object(prog, "{probe.type_name} *", 0x{record.at:x})'
        for item in probe.record:
            if item.counter is None and _CHAIN.fullmatch(item.source):
                yield f">>> {item.source.replace('->', '.')}     # {item.name}"


def _addressed(state: object) -> list[StateRecord]:
    records = getattr(state, "records", ())
    return [record for record in records if record.at is not None][:MAX_RECORDS]
