"""What is said of a crash that no rule explains: the nearest rules, its fingerprint, whether it was seen before."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from kbmatch.cli.history.store import seen_before
from kbmatch.cli.style import plain_text
from kbmatch.engine.condition import show
from kbmatch.engine.explanation import Explanation
from kbmatch.engine.finding import Diagnosis
from kbmatch.engine.fingerprint import fingerprint
from kbmatch.engine.nearest import nearest_rules
from kbmatch.kb.store.knowledge import KnowledgeBase


def unknown_advice(diagnosis: Diagnosis, knowledge: KnowledgeBase) -> Iterator[str]:
    """Lines for "What to do"; a line that begins with four blanks is a command to copy."""
    incident = diagnosis.incident
    index = incident.fatal_index
    yield "Escalate: kbmatch escalate makes a pack with the report, the log and the facts, names redacted."
    name = incident.source.path
    quoted = shlex.quote(plain_text(name)) if name != "-" else "FILE"
    yield f"    kbmatch escalate {quoted} -o pack.tar.gz"
    if index is None:
        return
    near = nearest_rules(diagnosis, knowledge)
    for item in near:
        word = f"{item.verdict.value}; " if item.verdict is not None else ""
        reasons = "; ".join(_difference(leaf) for leaf in item.differs)
        yield f"Nearest rule: {item.rule} ({item.title}): {word}{reasons or 'kbmatch explain says why'}."
    if not near:
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


def _difference(leaf: Explanation) -> str:
    here = "unknown here" if leaf.observed is None else f"here it is {show(leaf.observed, leaf.fact == 'address')}"
    return f"it needs {leaf.label}, {here}"
