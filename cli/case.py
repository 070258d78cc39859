"""One case: the diagnosis of one input, and the log it was made from."""

from __future__ import annotations

from collections.abc import Sequence

from kbmatch.cli.input import read_incident
from kbmatch.collectors.collect import CollectOptions
from kbmatch.engine.diagnose import diagnose
from kbmatch.engine.finding import Diagnosis
from kbmatch.engine.values import dataclass, replace
from kbmatch.kb.store.knowledge import KnowledgeBase


@dataclass(frozen=True, slots=True)
class Case:
    """A diagnosis; `log` is the text in which its events' lines count, None where it is not at hand."""

    diagnosis: Diagnosis
    log: bytes | None


def open_case(names: Sequence[str], knowledge: KnowledgeBase, how: CollectOptions | None = None) -> Case:
    """Read and diagnose a file, the pieces of a split dump, a folder or "-". Raises InputError, KnowledgeError."""
    kept: list[bytes] = []
    incident = read_incident(names, knowledge, replace(how or CollectOptions(), keep_log=kept.append))
    return Case(diagnose(incident, knowledge, knowledge.products), kept[-1] if kept else None)
