"""From what the user names to an incident with all that knowledge can derive: product, stream, culprits."""

from __future__ import annotations

from dataclasses import replace

from kbmatch.collectors.collect import collect
from kbmatch.engine.culprit import assign_culprits
from kbmatch.engine.incident import Incident
from kbmatch.kb.store.knowledge import KnowledgeBase


def read_incident(name: str, knowledge: KnowledgeBase) -> Incident:
    """The incident behind a file name, a folder or "-". Raises InputError and KnowledgeError."""
    incident = collect(name, knowledge)
    return replace(
        incident,
        kernel=knowledge.products.identify(incident.kernel),
        events=assign_culprits(incident.events, knowledge.helper_frames),
    )
