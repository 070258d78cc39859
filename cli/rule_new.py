"""kbmatch rule new: drafts a rule and its test from a crash, and opens them in an editor on a terminal."""

from __future__ import annotations

import argparse
import datetime
import os
import shlex
import subprocess
import sys
from pathlib import Path

from kbmatch.cli.input import add_input_options, input_options, read_incident
from kbmatch.cli.options import add_knowledge_options, knowledge_of
from kbmatch.engine.diagnose import diagnose
from kbmatch.engine.errors import InputError
from kbmatch.kb.store.files import SHIPPED

DESCRIPTIONS = {
    "new": """\
Draft a rule and its test from a crash (log, dump or any other FILE that kbmatch core takes): what the crash shows
is filled in, every guess is marked, names of machines and people in the log are replaced. On a terminal the rule
opens in $EDITOR.""",
}


def add_arguments(name: str, parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("files", metavar="FILE", nargs="+")
    parser.add_argument("--output", metavar="DIR", type=Path, default=Path(), help="where to write (default: here)")
    parser.add_argument("--id", metavar="ID", dest="rule_id", help="the rule's id (default: made of the crash)")
    parser.add_argument("--event", type=int, metavar="N", help="which event, from 0 (default: the fatal one)")
    parser.add_argument("--no-edit", action="store_true", help="do not open an editor")
    parser.add_argument("--force", action="store_true", help="overwrite files that are there")
    add_knowledge_options(parser)
    add_input_options(parser)


def run(options: argparse.Namespace) -> int:
    """Write the two files. Exit status: 0, or 2 if nothing can be drafted or a file is there already."""
    from kbmatch.kb.authoring.case_files import path_of_test
    from kbmatch.kb.authoring.drafting import draft
    from kbmatch.kb.authoring.formatting import format_text, schema_for
    from kbmatch.kb.authoring.lint import Tables, lint_file

    knowledge = knowledge_of(options)
    with input_options(options) as how:
        incident = read_incident(options.files, knowledge, how)
    index = incident.fatal_index if options.event is None else options.event
    if index is None or not 0 <= index < len(incident.events):
        raise InputError(f"{options.files[0]}: no such crash event in it; kbmatch signature shows what there is")
    tables = Tables(knowledge.products, knowledge.helper_frames, knowledge.probe_fields)
    today = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    drafted = draft(incident, index, tables, today, options.rule_id)
    rule_path = options.output / f"{drafted.id}.yaml"
    test_path = path_of_test(rule_path)
    there = [str(path) for path in (rule_path, test_path) if path.exists()]
    if there and not options.force:
        raise InputError(f"{', '.join(there)}: there already; give another --id, or --force to overwrite")
    for found in diagnose(incident, knowledge, knowledge.products).findings:
        if found.event == index and found.verdict.shown:
            print(f"note: rule {found.rule.id} fits this crash already ({found.verdict.value}): {found.rule.title}")
    options.output.mkdir(parents=True, exist_ok=True)
    for path, text, kind, schema in (
        (rule_path, drafted.rule, "rule", "rule"),
        (test_path, drafted.test, "test", "rule-test"),
    ):
        modeline = schema_for(path, schema) or str(SHIPPED / "schema" / f"{schema}.schema.json")
        path.write_text(format_text(text, str(path), kind, modeline), encoding="utf-8")
        print(f"wrote {path}")
    _edit(rule_path, options.no_edit)
    left = lint_file(rule_path, tables).problems
    for problem in left:
        print(f"{problem.file}:{problem.line}: {'yours to fill' if problem.code == 'unfilled' else problem.message}")
    folder = shlex.quote(str(options.output))
    print(f"next: kbmatch rule lint {folder}; kbmatch rule test {folder}; kbmatch core --rules {folder} FILE")
    return 0


def _edit(path: Path, unwanted: bool) -> None:
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    if unwanted or not editor or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return
    try:
        subprocess.run([*shlex.split(editor), str(path)], check=False)  # noqa: S603 - the user's own editor
    except (OSError, ValueError) as error:
        print(f"kbmatch: $EDITOR ({editor}) could not be run: {error}", file=sys.stderr)
