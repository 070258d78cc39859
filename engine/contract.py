"""The JSON contracts (DESIGN.md): an incident as "kbmatch.signature/1", a diagnosis as "kbmatch.diagnosis/1"."""

from __future__ import annotations

from typing import Any, Protocol

from kbmatch.engine.explanation import Explanation
from kbmatch.engine.finding import Diagnosis, Finding
from kbmatch.engine.incident import Incident, ProbeState, StateRecord
from kbmatch.engine.signature import Frame, Signature

SIGNATURE_SCHEMA = "kbmatch.signature/1"
DIAGNOSIS_SCHEMA = "kbmatch.diagnosis/1"

Json = dict[str, Any]


class Stamp(Protocol):
    """What is said of the knowledge base that was used."""

    @property
    def version(self) -> str: ...  # noqa: D102
    @property
    def rules(self) -> int: ...  # noqa: D102
    @property
    def digest(self) -> str: ...  # noqa: D102
    @property
    def overrides(self) -> tuple[str, ...]: ...  # noqa: D102


def incident_to_json(incident: Incident, schema: str = SIGNATURE_SCHEMA) -> Json:
    """The contract's object: plain dicts, lists, numbers and strings, keys in the contract's order."""
    kernel, machine = incident.kernel, incident.machine
    return {
        "schema": schema,
        "source": {
            "path": incident.source.path, "format": incident.source.format, "bytes": incident.source.bytes,
        },
        "kernel": {
            "release": kernel.release, "version": kernel.version, "arch": kernel.arch, "product": kernel.product,
            "stream": kernel.stream, "package_version": kernel.package_version,
            "upstream_base": kernel.upstream_base, "build_id": kernel.build_id,
            "taint": None if kernel.taint is None else list(kernel.taint), "livepatched": kernel.livepatched,
            "kaslr_offset": kernel.kaslr_offset, "phys_base": kernel.phys_base,
        },
        "machine": {
            "hardware": machine.hardware, "hypervisor": machine.hypervisor, "cpus": machine.cpus,
            "hostname": machine.hostname,
        },
        "events": [_event(event) for event in incident.events],
        "state": {name: _state(state) for name, state in incident.state.items()},
        "notes": [{"level": note.level, "text": note.text} for note in incident.notes],
    }  # fmt: skip


def diagnosis_to_json(diagnosis: Diagnosis, stamp: Stamp, *, everything: bool = False) -> Json:
    """The contract's object. Without `everything` only the verdicts that answer or point somewhere are listed."""
    found = incident_to_json(diagnosis.incident, DIAGNOSIS_SCHEMA)
    found["kb"] = {
        "version": stamp.version, "rules": stamp.rules, "digest": stamp.digest, "overrides": list(stamp.overrides),
    }  # fmt: skip
    found["outcome"] = diagnosis.outcome
    shown = [f for f in diagnosis.findings if everything or f.verdict.shown]
    found["findings"] = [_finding(finding) for finding in shown]
    return found


def _frame(frame: Frame) -> Json:
    return {
        "symbol": frame.symbol, "printed": frame.printed, "offset": frame.offset, "size": frame.size,
        "module": frame.module, "reliable": frame.reliable,
    }  # fmt: skip


def _event(event: Signature) -> Json:
    culprit, instruction = event.culprit, event.instruction
    return {
        "kind": event.kind, "message": event.message, "fatal": event.fatal, "line": event.line, "time": event.time,
        "release": event.release, "cpu": event.cpu, "pid": event.pid, "comm": event.comm, "context": event.context,
        "symbol": event.symbol, "printed": event.printed, "offset": event.offset, "size": event.size,
        "module": event.module,
        "culprit": None if culprit is None else {"symbol": culprit.symbol, "module": culprit.module},
        "address": event.address, "access": event.access, "registers": dict(event.registers), "code": event.code,
        "instruction": None if instruction is None else {
            "text": instruction.text, "base": instruction.base, "displacement": instruction.displacement,
            "explains_address": instruction.explains_address,
        },
        "source_line": event.source_line,
        "tasks": [
            {"comm": t.comm, "pid": t.pid, "seconds": t.seconds, "trace": [_frame(f) for f in t.trace]}
            for t in event.tasks
        ],
        "trace": [_frame(frame) for frame in event.trace],
    }  # fmt: skip


def _state(state: ProbeState) -> Json:
    return {
        "complete": state.complete, "why": state.why, "origin": state.origin,
        "records": [_record(record) for record in state.records],
    }  # fmt: skip


def _record(record: StateRecord) -> Json:
    return {
        "at": None if record.at is None else f"0x{record.at:x}",
        "values": dict(record.values),
        "addresses": {name: f"0x{address:x}" for name, address in record.addresses.items()},
    }


def _finding(finding: Finding) -> Json:
    rule, recommend = finding.rule, finding.recommend
    return {
        "rule": rule.id, "event": finding.event, "title": rule.title, "verdict": finding.verdict.value,
        "version_conflict": finding.version_conflict, "score": finding.score,
        "recommend": {
            "action": recommend.action, "product": recommend.product, "version": recommend.version,
            "commands": list(recommend.commands),
        },
        "workaround": rule.workaround, "aliases": list(rule.aliases),
        "fixes": [{"commit": fix.commit, "title": fix.title} for fix in rule.fixes],
        "references": list(rule.references),
        "evidence": [
            {"fact": item.fact, "value": _plain(item.value), "source": item.source} for item in finding.evidence
        ],
        "explanation": {
            "signature": explanation_to_json(finding.signature),
            "state": [explanation_to_json(tree) for tree in finding.state],
            "version": {
                "status": finding.version.status.value, "running": finding.version.running,
                "fixed": finding.version.fixed, "source": finding.version.source, "why": finding.version.why,
            },
            "exceptions": [
                {"reason": exclusion.reason, **explanation_to_json(tree)}
                for exclusion, tree in zip(rule.exceptions, finding.exceptions, strict=True)
            ],
            "differential": [
                {
                    "rule": sibling.rule, "title": sibling.title,
                    "verdict": sibling.verdict.value if sibling.verdict else None,
                    "separated_by": [explanation_to_json(leaf) for leaf in sibling.separated_by],
                }
                for sibling in finding.siblings
            ],
        },
    }  # fmt: skip


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def explanation_to_json(node: Explanation) -> Json:
    """One node of an explanation with its children, as the contract's `explanation` holds it."""
    found: Json = {"truth": node.truth.value, "label": node.label}
    if node.fact is not None:
        found |= {"fact": node.fact, "observed": _plain(node.observed), "source": node.source}
    if node.why is not None:
        found["why"] = node.why
    if node.children:
        found["children"] = [explanation_to_json(child) for child in node.children]
    return found
