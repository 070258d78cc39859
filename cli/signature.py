"""kbmatch signature: the facts of crashes as JSON."""

from __future__ import annotations

import argparse
import json
import sys

from kbmatch.cli.input import add_input_options, input_options, read_incident
from kbmatch.engine.contract import incident_to_json
from kbmatch.engine.errors import InputError
from kbmatch.engine.incident import Incident, Note, Source
from kbmatch.kb.store.knowledge import KnowledgeBase

DESCRIPTION = """\
Print what was read from each FILE, as JSON. The JSON of one file can be given to kbmatch core later."""

EPILOG = "exit status: 0, or 2 if any file could not be read"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("files", metavar="FILE", nargs="+")
    parser.add_argument("--format", choices=("json", "jsonl"), default="json", help="json (default), or one a line")
    add_input_options(parser)


def run(options: argparse.Namespace) -> int:
    """Print one object a file: pretty for json, one a line for jsonl. A file that cannot be read gets its line too."""
    knowledge = KnowledgeBase()
    status = 0
    with input_options(options) as how:
        for name in options.files:
            try:
                incident = read_incident([name], knowledge, how)
            except InputError as error:
                print(f"kbmatch: {error}", file=sys.stderr)
                status = 2
                incident = Incident(Source(name, "unreadable", 0), notes=(Note("error", str(error)),))
            print(json.dumps(incident_to_json(incident), indent=2 if options.format == "json" else None))
    return status
