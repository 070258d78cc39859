"""What is said of a crash that no rule explains: the nearest rules, its fingerprint, whether it was seen before."""

from __future__ import annotations

from collections.abc import Iterator

from kbmatch.cli.history.store import seen_before
from kbmatch.cli.style import shell_name
from kbmatch.engine.condition import show
from kbmatch.engine.explanation import Explanation
from kbmatch.engine.finding import Diagnosis, Finding
from kbmatch.engine.fingerprint import fingerprint
from kbmatch.engine.nearest import nearest_rules
from kbmatch.engine.weak import weak_findings
from kbmatch.kb.store.knowledge import KnowledgeBase

MAX_WEAK = 3
LEAST_WEAK = 0.2
"""Those with less in common share a way that many crashes take; --all lists them."""
MAX_VALUES = 5
MAX_SHARED = 3


def unknown_advice(diagnosis: Diagnosis, knowledge: KnowledgeBase) -> Iterator[str]:
    """Lines for "What to do"; a line that begins with four blanks is a command to copy."""
    incident = diagnosis.incident
    index = incident.fatal_index
    yield "Escalate: kbmatch escalate makes a pack with the report, the log and the facts, names redacted."
    quoted = shell_name(incident.source.path)
    yield f"    kbmatch escalate {quoted} -o pack.tar.gz"
    if index is None:
        return
    found = weak_findings(diagnosis, knowledge, knowledge.products, MAX_WEAK)
    weak = [finding for finding in found if finding.score >= LEAST_WEAK]
    for finding in weak:
        fixed = f", fixed in {finding.version.fixed}" if finding.version.fixed else ""
        shared = ", ".join(_shared(finding)[:MAX_SHARED])
        yield (
            f"Worth a look, though it is not the same trace ({shared}): {finding.rule.id} "
            f"({finding.rule.title}{fixed})."
        )
    near = nearest_rules(diagnosis, knowledge)
    for item in near:
        word = f"{item.verdict.value}; " if item.verdict is not None else ""
        # of several blocked tasks each may lack the same
        reasons = "; ".join(list(dict.fromkeys(_difference(leaf) for leaf in item.differs))[:MAX_SHARED])
        yield f"Nearest rule: {item.rule} ({item.title}): {word}{reasons or 'kbmatch explain says why'}."
    if not near and not weak:
        yield "No rule of the knowledge base has anything in common with this crash."
    keys = fingerprint(incident.events[index], knowledge.helper_frames, incident.kernel.release)
    yield f"Fingerprint: {keys.culprit} ({keys.words}); by its path {keys.frames}, exact {keys.exact}."
    bug = seen_before(keys)
    if bug is not None:
        times = "once" if bug.count == 1 else f"{bug.count} times"
        hosts = f" on {', '.join(bug.hosts[:5])}" if bug.hosts else ""
        yield f"Seen here before: {times}, first {bug.first}, last {bug.last}{hosts} (kbmatch history show {bug.key})."
    else:
        yield "Seen here before: no (kbmatch history add keeps it)."
    yield "Once it is understood, a rule saves the next one this work:"
    yield f"    kbmatch rule new {quoted}"


def _shared(finding: Finding) -> tuple[str, ...]:
    """What the crash and the rule have in common, in words."""
    return tuple(str(text) for item in finding.evidence if isinstance(item.value, tuple) for text in item.value)


def _difference(leaf: Explanation) -> str:
    if leaf.observed is None:
        return f"it needs {leaf.label}, unknown here"
    seen, more = leaf.observed, ""
    if isinstance(seen, tuple):
        distinct = tuple(dict.fromkeys(seen))
        seen, more = distinct[:MAX_VALUES], ", ..." if len(distinct) > MAX_VALUES else ""
    return f"it needs {leaf.label}, here it is {show(seen, leaf.fact == 'address')}{more}"
