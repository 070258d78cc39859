"""kbmatch signature: the facts of crashes as JSON."""

from __future__ import annotations

import argparse
import json
import sys

from kbmatch.cli.input import read_incident
from kbmatch.engine.contract import incident_to_json
from kbmatch.engine.errors import InputError
from kbmatch.engine.incident import Incident, Note, Source
from kbmatch.kb.store.knowledge import KnowledgeBase


def run_signature(options: argparse.Namespace) -> int:
    """Print one object a file: pretty for json, one a line for jsonl. A file that cannot be read gets its line too."""
    knowledge = KnowledgeBase()
    status = 0
    for name in options.files:
        try:
            incident = read_incident(name, knowledge)
        except InputError as error:
            print(f"kbmatch: {error}", file=sys.stderr)
            status = 2
            incident = Incident(Source(name, "unreadable", 0), notes=(Note("error", str(error)),))
        print(json.dumps(incident_to_json(incident), indent=2 if options.format == "json" else None))
    return status
