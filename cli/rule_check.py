"""kbmatch rule lint, kbmatch rule test: checks rule files and prints what is wrong, with file and line."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from kbmatch.cli.progress import ProgressBar
from kbmatch.engine.errors import Diagnostic
from kbmatch.engine.incident import Incident
from kbmatch.kb.authoring.checking import Summary, check_rules, rule_files
from kbmatch.kb.authoring.codes import CODES, ERROR, level_of
from kbmatch.kb.authoring.lint import Tables
from kbmatch.kb.store.files import find_files
from kbmatch.kb.store.knowledge import KnowledgeBase

DESCRIPTIONS = {
    "lint": """\
Find what is wrong with rules: ids, versions, sources, conditions that cannot be meant, missing tests, conditions
that no case of the test notices, overlaps with other rules. PATH is a rule, a test, or a folder (default: here).""",
    "test": """\
Run the cases beside each rule, grade the kernels on both sides of each fixed version, and hold the rule against
a corpus of unrelated crashes. PATH is a rule, a test, or a folder (default: here).""",
}


def add_arguments(name: str, parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of lint or test."""
    parser.add_argument("paths", metavar="PATH", nargs="*", type=Path, help="rules, tests or folders (default: .)")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="text (default) or json")
    parser.add_argument("--jobs", type=int, metavar="N", help="processes to use (default: one a CPU)")
    if name == "lint":
        parser.add_argument("--strict", action="store_true", help="let warnings count as errors")
        parser.add_argument("--explain", metavar="CODE", choices=sorted(CODES), help="say what a code means, and stop")
    else:
        parser.add_argument(
            "--corpus", metavar="FILE", action="append", default=[], help="unrelated crashes of your own: log or folder"
        )


def run(options: argparse.Namespace) -> int:
    """Check and print. Exit status: 0 nothing wrong, 1 something found."""
    lint = options.action == "lint"
    if lint and options.explain:
        print(_explained(options.explain))
        return 0
    paths = options.paths or [Path()]
    knowledge = KnowledgeBase()
    files = rule_files(paths)
    tables = tables_for(paths, knowledge)
    crashes = [] if lint else list(_crashes(options.corpus, knowledge))
    with ProgressBar("linting" if lint else "testing") as bar:
        summary = check_rules(
            files,
            tables,
            lint=lint,
            others=dict(knowledge.rules) if lint else None,
            crashes=crashes,
            processes=options.jobs,
            progress=bar,
        )
    failing = [p for p in summary.problems if level_of(p.code) == ERROR or (lint and options.strict)]
    if options.format == "json":
        print(json.dumps([_as_json(problem) for problem in summary.problems], indent=2))
    else:
        _print_text(summary, lint)
    return 1 if failing else 0


def tables_for(paths: list[Path], knowledge: KnowledgeBase) -> Tables:
    """The shipped tables, with the probes of the folders that are checked."""
    from kbmatch.kb.store.probes import load_probe_files

    fields = dict(knowledge.probe_fields)
    for path in paths:
        if path.is_dir():
            for probe in load_probe_files(find_files(path).probes):
                fields.setdefault(probe.id, {field.name: field.type for field in probe.record})
    return Tables(knowledge.products, knowledge.helper_frames, fields)


def _crashes(names: list[str], knowledge: KnowledgeBase) -> Iterator[Incident]:
    from kbmatch.collectors.collect import collect
    from kbmatch.engine.errors import InputError

    for name in names:
        path = Path(name)
        for one in sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]:
            try:
                yield collect([str(one)], knowledge)
            except InputError as error:
                print(f"kbmatch: passed over: {error}", file=sys.stderr)


def _as_json(problem: Diagnostic) -> dict[str, object]:
    code = CODES.get(problem.code)
    return {
        "file": problem.file, "line": problem.line, "column": problem.column, "level": level_of(problem.code),
        "code": problem.code, "message": problem.message, "hint": code.hint if code else "",
        "page": code.page if code else None,
    }  # fmt: skip


def _print_text(summary: Summary, lint: bool) -> None:
    hinted: set[str] = set()
    for problem in summary.problems:
        place = f"{problem.file}:{problem.line}:{problem.column}"
        print(f"{place}: {level_of(problem.code)}: {problem.code}: {problem.message}")
        code = CODES.get(problem.code)
        if code is not None and problem.code not in hinted:
            hinted.add(problem.code)
            print(f"    hint: {code.hint} ({code.page})")
    found = len(summary.problems)
    what = f"{summary.rules} rule{'s' * (summary.rules != 1)}"
    if not lint:
        what += f", {summary.cases} case{'s' * (summary.cases != 1)}"
    print(f"{what}: {'nothing wrong' if not found else f'{found} problem' + 's' * (found != 1)}")


def _explained(name: str) -> str:
    code = CODES[name]
    parts = [f"{code.name} ({code.level}): {code.title}", "", code.why, "", f"What to do: {code.hint}"]
    if code.bad:
        parts += ["", "Instead of", *(f"    {line}" for line in code.bad.splitlines())]
        parts += ["write", *(f"    {line}" for line in code.good.splitlines())] if code.good else []
    return "\n".join(parts)
