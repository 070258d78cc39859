"""kbmatch core: from one input to a verdict."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from kbmatch.cli.input import read_incident
from kbmatch.engine.diagnose import diagnose
from kbmatch.kb.store.knowledge import KnowledgeBase


def run_core(options: argparse.Namespace) -> int:
    """Diagnose and print. Exit status: 0 known issue, 1 any other outcome."""
    knowledge = KnowledgeBase([Path(folder) for folder in options.rules], drafts=options.drafts)
    knowledge.open()  # bad rules are an error whatever the input holds
    incident = read_incident(options.file, knowledge)
    diagnosis = diagnose(incident, knowledge, knowledge.products)
    if options.format == "json":
        import json

        from kbmatch.engine.contract import diagnosis_to_json

        print(json.dumps(diagnosis_to_json(diagnosis, knowledge.stamp, everything=options.all), indent=2))
    else:
        from kbmatch.cli.text_report import text_report

        colour = options.color == "always" or (
            options.color == "auto" and sys.stdout.isatty() and "NO_COLOR" not in os.environ
        )
        print(text_report(diagnosis, knowledge, colour=colour, everything=options.all))
    return 0 if diagnosis.outcome == "known-issue" else 1
