"""The command line: finds the command, parses its arguments, turns errors into one clear line and an exit status.

A command is a module of this package with DESCRIPTION, EPILOG, `add_arguments(parser)` and `run(options)`. Only the
module of the command that is run gets imported.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

from kbmatch.cli.help_format import HelpFormatter
from kbmatch.engine.errors import KbmatchError

EXIT_ERROR = 2

COMMANDS: dict[str, tuple[str, str]] = {
    "core": ("core", "diagnose a crash: vmcore, console log or crash session"),
    "escalate": ("escalation.command", "make a pack for a support case: report, log, facts, with names redacted"),
    "explain": ("explain", "why a rule fits a crash, does not, or cannot tell"),
    "rule": ("rule", "write rules: new, fmt, lint, test, show, list, schema"),
    "signature": ("signature", "print the facts of crashes as JSON, without judging them"),
    "struct": ("struct", "print a struct out of a dump's memory, as crash does"),
    "kb": ("kb", "keep the knowledge: build, verify, mine, advisories, evaluate, info, catalogue"),
    "history": ("history.command", "what crashed here before, how often, and what became known"),
    "watch": ("watch.command", "diagnose each crash that appears in a folder, once"),
    "layout": ("layout", "write a layout file: struct offsets for kernels that ship no types"),
}
"""Command -> its module in kbmatch.cli, and one line of help."""


def _usage() -> str:
    width = max(map(len, COMMANDS))
    listed = "\n".join(f"  {name:<{width}}  {summary}" for name, (_, summary) in COMMANDS.items())
    return f"""\
usage: kbmatch COMMAND ...        kbmatch COMMAND --help tells more

Is this kernel crash a known bug, how sure is that, and which kernel fixes it?
Start with: kbmatch core FILE

commands:
{listed}

options:
  --version  print the version
  --help     print this"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status. Errors of kbmatch become one message on standard error."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help"):
        print(_usage())
        return 0 if words else EXIT_ERROR
    if words[0] == "--version":
        from kbmatch.engine.version import VERSION

        print(f"kbmatch {VERSION}")
        return 0
    if words[0] not in COMMANDS:
        from kbmatch.engine.document import nearest

        hint = nearest(words[0], COMMANDS) or "; kbmatch --help lists the commands"
        print(f"kbmatch: there is no command {words[0]!r}{hint}", file=sys.stderr)
        return EXIT_ERROR
    return _run(words[0], words[1:])


def _run(name: str, words: list[str]) -> int:
    command = import_module(f"kbmatch.cli.{COMMANDS[name][0]}")
    parser = argparse.ArgumentParser(
        prog=f"kbmatch {name}",
        description=command.DESCRIPTION,
        epilog=command.EPILOG,
        formatter_class=HelpFormatter,
    )
    command.add_arguments(parser)
    options = parser.parse_args(words)
    try:
        status: int = command.run(options)
        return status
    except KbmatchError as error:
        print(f"kbmatch: {error}", file=sys.stderr)
    except RecursionError:
        print("kbmatch: the input nests too deep to be read", file=sys.stderr)
    except MemoryError:
        print("kbmatch: not enough memory for this input", file=sys.stderr)
    return EXIT_ERROR


def entry_point() -> NoReturn:
    """The console script: like `main`, and quiet when the reader of a pipe has gone or the user interrupts."""
    try:
        status = main()
        sys.stdout.flush()
    except BrokenPipeError:
        _drop_output()
        status = EXIT_ERROR
    except OSError as error:
        _drop_output()
        about = f"{error.filename}: " if error.filename else "the output could not be written: "
        print(f"kbmatch: {about}{error.strerror or error}", file=sys.stderr)
        status = EXIT_ERROR
    except KeyboardInterrupt:
        print("kbmatch: interrupted", file=sys.stderr)
        status = 130
    _leave(status)


def _drop_output() -> None:
    """Close standard output for good, so that the interpreter's own flush at exit does not complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _leave(status: int) -> NoReturn:
    """End the process. Taking the interpreter apart object by object is a tenth of a diagnosis: mypy leaves so, too.

    Only where nothing is left to do: every file is closed by its own `with`, but a thread wants to be waited for.
    """
    if "threading" in sys.modules:
        sys.exit(status)
    try:
        sys.stderr.flush()
    finally:
        os._exit(status)
