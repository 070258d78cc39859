"""kbmatch rule fmt: brings rules and tests into the common format."""

from __future__ import annotations

import argparse
import difflib
import os
import sys
import tempfile
from pathlib import Path

from kbmatch.engine.errors import Diagnostic, KnowledgeError
from kbmatch.kb.authoring.case_files import path_of_test
from kbmatch.kb.authoring.checking import rule_files

DESCRIPTIONS = {
    "fmt": """\
Bring rules and their tests into the common format: one order of keys, quoted versions, two blanks of indent.
Comments stay. PATH is a rule, a test, or a folder (default: here).""",
}


def add_arguments(name: str, parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("paths", metavar="PATH", nargs="*", type=Path, help="rules, tests or folders (default: .)")
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if a file would change")
    parser.add_argument("--diff", action="store_true", help="change nothing; show what would change")


def run(options: argparse.Namespace) -> int:
    """Format. Exit status: 0, or 1 with --check or --diff if a file is not in the format; 2 if one cannot be read."""
    from kbmatch.kb.authoring.formatting import format_file  # PyYAML and all

    changed = 0
    problems: list[Diagnostic] = []
    files = _with_tests(options.paths or [Path()])
    for path in files:
        try:
            before, after = format_file(path)
        except KnowledgeError as error:
            problems += error.diagnostics
            continue
        if before == after:
            continue
        changed += 1
        if options.diff:
            name = str(path)
            sys.stdout.writelines(
                difflib.unified_diff(before.splitlines(True), after.splitlines(True), name, f"{name} (formatted)")
            )
        elif options.check:
            print(f"{path}:1:1: warning: not-formatted: kbmatch rule fmt would change this file")
        else:
            _write(path, after)
            print(f"formatted {path}")
    for problem in problems:
        print(f"kbmatch: {problem}", file=sys.stderr)
    if not options.diff:
        print(f"{len(files)} files, {changed} {'not in the format' if options.check else 'changed'}")
    if problems:
        return 2
    return 1 if changed and (options.check or options.diff) else 0


def _with_tests(paths: list[Path]) -> list[Path]:
    """What is named, and with a folder the tests in it; a file that is named is formatted alone."""
    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            found.append(path)
            continue
        for rule in rule_files([path]):
            found.append(rule)
            if path_of_test(rule).is_file():
                found.append(path_of_test(rule))
    return list(dict.fromkeys(found))


def _write(path: Path, text: str) -> None:
    """Replace the file in one step, keeping its mode: an interrupted run leaves no half of it."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as target:
            target.write(text)
        os.chmod(name, path.stat().st_mode & 0o7777)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
