"""A case with names redacted: the log, the facts, and the diagnosis made from them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, TypeVar

from kbmatch.cli.case import Case
from kbmatch.engine.diagnose import diagnose
from kbmatch.engine.finding import Diagnosis
from kbmatch.engine.incident import Incident
from kbmatch.kb.authoring.redaction.redactor import Redactor
from kbmatch.kb.store.knowledge import KnowledgeBase

T = TypeVar("T")

_TEXT_FIELDS = frozenset({"message", "text", "source_line", "hardware", "version", "banner", "command_line", "why"})
"""Fields that hold what somebody may have written; symbols, modules and releases are what the crash is known by."""


@dataclass(frozen=True, slots=True)
class PrivateCase:
    """The case as it may leave the house. `log_name` is the log's file in the pack; `agrees` says whether a diagnosis
    made from the redacted log alone is the same as that of the original log (None: no log to read).
    """

    diagnosis: Diagnosis
    log: str | None
    agrees: bool | None


def needed_names(incident: Incident) -> Iterator[str]:
    """Names that the crash is recognised by: functions, modules, processes, releases."""
    kernel = incident.kernel
    yield from (t for t in (kernel.release, kernel.version, kernel.package_version, kernel.build_id) if t)
    for event in incident.events:
        frames = (*event.trace, *(frame for task in event.tasks for frame in task.trace))
        yield from (t for frame in frames for t in (frame.symbol, frame.printed, frame.module) if t)
        yield from (t for t in (event.symbol, event.printed, event.module, event.release, event.code, event.comm) if t)
        yield from (task.comm for task in event.tasks if task.comm)
        yield from event.modules or ()
        if event.culprit is not None:
            yield event.culprit.symbol


def redactor_for(case: Case, words: Iterable[str]) -> Redactor:
    """A redactor that knows the case's host and leaves alone what the crash needs."""
    incident = case.diagnosis.incident
    hosts = [incident.machine.hostname] if incident.machine.hostname else []
    return Redactor(hosts, words=words, protected=needed_names(incident))


def private_case(case: Case, knowledge: KnowledgeBase, redactor: Redactor | None, source: str) -> PrivateCase:
    """The case without names, or, without a redactor, as it is; of memory only the probes that findings speak of.

    `source` is what the input is called in the pack.
    """
    incident = case.diagnosis.incident
    log = case.log.decode("utf-8", "replace") if case.log is not None else None
    if redactor is not None:
        log = redactor.redact(log) if log is not None else None
        incident = _redacted(incident, redactor)
        host = incident.machine.hostname
        if host is not None:
            incident = replace(incident, machine=replace(incident.machine, hostname=redactor.host(host)))
    asked = {condition.probe for f in case.diagnosis.findings for condition in f.rule.state}
    incident = replace(
        incident,
        source=replace(incident.source, path=source),
        state={name: state for name, state in incident.state.items() if name in asked},
    )
    diagnosis = diagnose(incident, knowledge, knowledge.products)
    agrees = None
    if log is not None and case.log is not None and incident.source.format in ("console", "transcript"):
        agrees = _face(log.encode(), knowledge) == _face(case.log, knowledge)
    return PrivateCase(diagnosis, log, agrees)


def _redacted(value: T, redactor: Redactor) -> T:
    """The value with every text field redacted, however deep; other texts lose the user's own words alone."""
    found: Any = _walk(value, redactor, "")
    return found  # type: ignore[no-any-return]


def _walk(value: Any, redactor: Redactor, name: str) -> Any:
    if isinstance(value, str):
        return redactor.redact(value) if name in _TEXT_FIELDS else redactor.redact_words(value)
    if is_dataclass(value) and not isinstance(value, type):
        changed = {f.name: _walk(getattr(value, f.name), redactor, f.name) for f in fields(value)}
        return replace(value, **changed)
    if isinstance(value, tuple):
        return tuple(_walk(item, redactor, name) for item in value)
    if isinstance(value, dict):
        inner = "text" if name == "values" else name
        return {key: _walk(item, redactor, inner) for key, item in value.items()}
    return value


def _face(data: bytes, knowledge: KnowledgeBase) -> object:
    """What a log says and what is known of it, without what redaction may change."""
    import os
    import tempfile

    from kbmatch.cli.case import open_case

    with tempfile.NamedTemporaryFile(prefix="kbmatch-", suffix=".log") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(data)
        file.flush()
        found = open_case([file.name], knowledge).diagnosis
    return (
        found.outcome,
        [(f.rule.id, f.event, f.verdict, f.version_conflict, f.recommend) for f in found.findings],
        [(e.kind, e.fatal, e.line, e.symbol, e.address) for e in found.incident.events],
        re.sub(r"\s", "", found.incident.kernel.release or ""),
    )
