"""kbmatch rule: everything that an author of rules does."""

from __future__ import annotations

import argparse
from importlib import import_module

from kbmatch.cli.help_format import HelpFormatter

DESCRIPTION = """\
Write rules: draft one from a crash, bring it into the common format, check it, run its tests, look at what is
there. `kbmatch rule COMMAND --help` tells more."""

EPILOG = """\
exit status: 0 nothing wrong, 1 something found, 2 an error
The first rule in ten minutes: docs/tutorial/first-rule.md"""

_COMMANDS: dict[str, tuple[str, str]] = {
    "new": ("rule_new", "draft a rule and its test from a crash"),
    "fmt": ("rule_fmt", "bring rules and tests into the common format"),
    "lint": ("rule_check", "find what is wrong with rules"),
    "test": ("rule_check", "run the tests beside rules"),
    "show": ("rule_show", "show one rule in words"),
    "list": ("rule_list", "list rules"),
    "schema": ("rule_schema", "write or check the JSON Schemas and reference pages"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of all subcommands."""
    commands = parser.add_subparsers(dest="action", metavar="COMMAND", required=True)
    for name, (module, summary) in _COMMANDS.items():
        command = import_module(f"kbmatch.cli.{module}")
        sub = commands.add_parser(
            name,
            help=summary,
            description=command.DESCRIPTIONS[name],
            formatter_class=HelpFormatter,
        )
        command.add_arguments(name, sub)


def run(options: argparse.Namespace) -> int:
    """Run the subcommand and return its exit status."""
    command = import_module(f"kbmatch.cli.{_COMMANDS[options.action][0]}")
    status: int = command.run(options)
    return status
