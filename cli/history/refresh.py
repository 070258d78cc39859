"""Diagnoses the history anew: what a knowledge base update made known of the crashes of the past."""

from __future__ import annotations

from collections.abc import Iterator

from kbmatch.cli.history.store import History, Judged, Stored
from kbmatch.engine.culprit import assign_culprits
from kbmatch.engine.diagnose import diagnose
from kbmatch.engine.fingerprint import fingerprint
from kbmatch.engine.freeze import incident_from_json
from kbmatch.engine.incident import Incident
from kbmatch.engine.values import dataclass, replace
from kbmatch.kb.store.knowledge import KnowledgeBase


@dataclass(frozen=True, slots=True)
class Change:
    """A crash of which the knowledge base now says something else."""

    stored: Stored
    before: Judged
    after: Judged

    @property
    def became_known(self) -> bool:
        """Whether it was no known issue and is one now."""
        return self.before.outcome != "known-issue" and self.after.outcome == "known-issue"


def thaw(stored: Stored) -> Incident:
    """The crash as it was read, with those facts that a signature file does not carry, from the log kept with it.

    Raises FreezeError if the row is damaged.
    """
    incident = incident_from_json(stored.signature)
    if stored.log is None or incident.source.format == "transcript":
        return incident
    from kbmatch.collectors.logs.console import read_log

    read = read_log(stored.log)
    found = {(event.line, event.kind): event for event in read.events}
    events = []
    for event in incident.events:
        other = found.get((event.line, event.kind))
        events.append(
            event if other is None else replace(event, lines=other.lines, text=other.text, modules=other.modules)
        )
    kernel = replace(incident.kernel, banner=read.kernel.banner, command_line=read.kernel.command_line)
    return replace(incident, kernel=kernel, events=tuple(events))


def refresh(history: History, knowledge: KnowledgeBase) -> Iterator[Change]:
    """Diagnose every crash with this knowledge, write the new diagnoses down, and yield what changed."""
    digest = knowledge.stamp.digest
    for stored in list(history.crashes()):
        incident = thaw(stored)
        incident = replace(
            incident,
            kernel=knowledge.products.identify(incident.kernel),
            events=assign_culprits(incident.events, knowledge.helper_frames),
        )
        index = incident.fatal_index
        if index is None:
            continue
        diagnosis = diagnose(incident, knowledge, knowledge.products)
        after = Judged.of(diagnosis)
        keys = fingerprint(incident.events[index], knowledge.helper_frames, incident.kernel.release)
        history.judge(stored.id, after, keys, digest)
        if after != stored.judged:
            yield Change(stored, stored.judged, after)
