"""kbmatch core: from one input to a verdict."""

from __future__ import annotations

import argparse
import os
import sys

from kbmatch.cli.input import add_input_options, input_options, read_incident
from kbmatch.cli.options import add_knowledge_options, knowledge_of
from kbmatch.engine.diagnose import diagnose
from kbmatch.kb.store.knowledge import KnowledgeBase

DESCRIPTION = """\
Diagnose one crash. FILE is a vmcore, a console log, the transcript of a crash session, a signature file,
a folder (its newest crash is taken), or - for standard input; any of them may be compressed. Several FILEs
are the pieces of one split dump."""

EPILOG = """\
exit status:
  0  a known issue (confirmed or likely)
  1  any other outcome: not known, already fixed, not a kernel bug, no crash
  2  an error: the input cannot be read, bad rules"""

FORMATS = ("text", "json", "md", "html")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("files", metavar="FILE", nargs="+")
    parser.add_argument("--format", choices=FORMATS, default="text", help="text (default), json, md, html")
    parser.add_argument(
        "--all", action="store_true", help="also list refuted, incomplete and weak findings, and all reasons"
    )
    add_knowledge_options(parser)
    parser.add_argument("--color", choices=("auto", "always", "never"), default="auto", help="colour of the text")
    add_input_options(parser)


def run(options: argparse.Namespace) -> int:
    """Diagnose and print. Exit status: 0 known issue, 1 any other outcome."""
    knowledge = knowledge_of(options)
    knowledge.open()  # bad rules are an error whatever the input holds
    if options.format in ("md", "html"):
        return _page(options, knowledge)
    with input_options(options) as how:
        incident = read_incident(options.files, knowledge, how)
    diagnosis = diagnose(incident, knowledge, knowledge.products)
    if options.format == "json":
        import json

        from kbmatch.engine.contract import diagnosis_to_json

        if options.all:
            from kbmatch.engine.weak import with_weak

            diagnosis = with_weak(diagnosis, knowledge, knowledge.products)
        print(json.dumps(diagnosis_to_json(diagnosis, knowledge.stamp, everything=options.all), indent=2))
    else:
        from kbmatch.cli.text_report import text_report

        colour = options.color == "always" or (
            options.color == "auto" and sys.stdout.isatty() and "NO_COLOR" not in os.environ
        )
        print(text_report(diagnosis, knowledge, colour=colour, everything=options.all))
    return 0 if diagnosis.outcome == "known-issue" else 1


def _page(options: argparse.Namespace, knowledge: KnowledgeBase) -> int:
    """A report for a browser or a ticket: it shows the log too."""
    from kbmatch.cli.case import open_case
    from kbmatch.cli.reports.view import report_view

    with input_options(options) as how:
        case = open_case(options.files, knowledge, how)
    view = report_view(case.diagnosis, knowledge, case.log)
    if options.format == "html":
        from kbmatch.cli.reports.html_report import html_report

        print(html_report(view), end="")
    else:
        from kbmatch.cli.reports.markdown_report import markdown_report

        sys.stdout.buffer.write(markdown_report(view).encode("utf-8", "replace"))
    return 0 if case.diagnosis.outcome == "known-issue" else 1
