"""The command line: parses arguments, runs one command, turns errors into one clear line and an exit status."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from kbmatch.engine.errors import KbmatchError

EXIT_KNOWN = 0
EXIT_OTHER = 1
EXIT_ERROR = 2

_EPILOG = """\
exit status:
  0  a known issue (confirmed or likely)
  1  any other outcome: not known, already fixed, not a kernel bug, no crash
  2  an error: the input cannot be read, bad rules
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kbmatch",
        description="Is this kernel crash a known bug, how sure is that, and which kernel fixes it?",
        epilog="Start with: kbmatch core FILE",
    )
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")

    core = commands.add_parser(
        "core",
        help="diagnose a crash: vmcore, console log or crash session",
        description="Diagnose one crash. FILE is a vmcore, a console log, the transcript of a crash session, a "
        "signature file, a folder (its newest crash is taken), or - for standard input.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    core.add_argument("file", metavar="FILE")
    core.add_argument("--format", choices=("text", "json"), default="text", help="text (default) or json")
    core.add_argument("--all", action="store_true", help="show refuted and incomplete findings too, and all reasons")
    _rule_options(core)
    core.add_argument("--color", choices=("auto", "always", "never"), default="auto", help="colour of the text report")

    signature = commands.add_parser(
        "signature",
        help="print the facts of crashes as JSON, without judging them",
        description="Print what was read from each FILE. The JSON of one file can be given to kbmatch core later.",
        epilog="exit status: 0, or 2 if any file could not be read",
    )
    signature.add_argument("files", metavar="FILE", nargs="+")
    signature.add_argument("--format", choices=("json", "jsonl"), default="json", help="json (default), or one a line")
    return parser


def _rule_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rules", metavar="DIR", action="append", default=[], help="use the rules in DIR too")
    parser.add_argument("--drafts", action="store_true", help="let rules of status draft take part")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status. Errors of kbmatch become one message on standard error."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.version:
        from kbmatch.engine.version import VERSION

        print(f"kbmatch {VERSION}")
        return 0
    if options.command is None:
        parser.print_help()
        return EXIT_ERROR
    try:
        if options.command == "core":
            from kbmatch.cli.core import run_core

            return run_core(options)
        from kbmatch.cli.signature import run_signature

        return run_signature(options)
    except KbmatchError as error:
        print(f"kbmatch: {error}", file=sys.stderr)
    except RecursionError:
        print("kbmatch: the input nests too deep to be read", file=sys.stderr)
    except MemoryError:
        print("kbmatch: not enough memory for this input", file=sys.stderr)
    return EXIT_ERROR


def entry_point() -> None:
    """The console script: like `main`, and quiet when the reader of a pipe has gone or the user interrupts."""
    try:
        status = main()
        sys.stdout.flush()
    except BrokenPipeError:
        # the descriptor is closed for good, so that the interpreter's own flush at exit does not complain
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = EXIT_ERROR
    except KeyboardInterrupt:
        print("kbmatch: interrupted", file=sys.stderr)
        status = 130
    sys.exit(status)
