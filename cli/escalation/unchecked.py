"""What was not checked, and why: the honest half of a diagnosis."""

from __future__ import annotations

from collections.abc import Iterator

from kbmatch.cli.reports.markdown_report import plain
from kbmatch.engine.affected import VersionStatus
from kbmatch.engine.finding import Diagnosis, Finding
from kbmatch.engine.incident import Kernel
from kbmatch.engine.logic import Truth
from kbmatch.engine.signature import Signature
from kbmatch.engine.verdict import Verdict


def unchecked(diagnosis: Diagnosis, *, has_log: bool) -> str:
    """A Markdown page: facts that are missing, conditions that could not be judged, damage of the input."""
    lines = list(dict.fromkeys(_lines(diagnosis, has_log)))
    body = "\n".join(f"- {plain(line)}" for line in lines) or "Nothing is missing."
    return f"# Not checked, and why\n\n{body}\n"


def _lines(diagnosis: Diagnosis, has_log: bool) -> Iterator[str]:
    incident = diagnosis.incident
    index = incident.fatal_index
    if not has_log:
        yield "the log's text: the input does not hold it (a signature file), or is too large"
    if incident.source.format in ("console", "transcript", "freeze"):
        yield "memory: the input is a text; of the drivers' state only what it printed could be read"
    yield from _version(incident.kernel)
    if index is None:
        return
    yield from _instruction(incident.events[index])
    for finding in diagnosis.of_event(index):
        if finding.verdict not in (Verdict.EXCEPTED, Verdict.NOT_AFFECTED):
            yield from _conditions(finding)
    for name, state in incident.state.items():
        if not state.complete:
            yield f"{name}: not all records: {state.why or 'some could not be read'}"
        missing = [(field, why) for record in state.records[:16] for field, why in record.missing.items()]
        yield from (f"{name}: {field}: {why}" for field, why in missing)
    yield from (f"{note.level}: {note.text}" for note in incident.notes if note.level != "info")


def _version(kernel: Kernel) -> Iterator[str]:
    if kernel.release is None:
        yield "the version: the input does not name the kernel's release"
    elif kernel.product is None:
        yield f"the version: {kernel.release} is of no vendor in the product table"
    if kernel.livepatched:
        yield "the version: the kernel is live-patched, so its release does not tell which fixes it runs with"
    elif kernel.taint is None:
        yield "the taint flags, and with them live patches and foreign modules: no taint line in the input"


def _instruction(event: Signature) -> Iterator[str]:
    if event.code is None:
        yield "the instruction: no Code: line in the report"
    elif event.instruction is None:
        yield "the instruction: its bytes could not be decoded"


def _conditions(finding: Finding) -> Iterator[str]:
    for tree in (finding.signature, *finding.state):
        for leaf in tree.leaves():
            if leaf.truth is Truth.UNKNOWN:
                yield f"{finding.rule.id}: whether {leaf.label}: {leaf.why or 'not in the input'}"
    if finding.version.status is VersionStatus.UNKNOWN:
        yield f"{finding.rule.id}: whether this version is affected: {finding.version.why}"
