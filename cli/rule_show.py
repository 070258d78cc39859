"""kbmatch rule show: one rule in words."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Iterator
from pathlib import Path

from kbmatch.cli.options import add_knowledge_options, knowledge_of, rule_named
from kbmatch.cli.style import plain_text
from kbmatch.engine.condition import AnyTask, Condition, Leaf
from kbmatch.engine.rule import Rule
from kbmatch.engine.similarity import Similar

DESCRIPTIONS = {"show": "Show one rule in words. RULE is an id, or a rule file."}


def add_arguments(name: str, parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("rule", metavar="RULE")
    parser.add_argument("--yaml", action="store_true", help="print the file as it is")
    add_knowledge_options(parser)


def run(options: argparse.Namespace) -> int:
    """Print the rule. Exit status: 0, or 2 if there is no such rule."""
    knowledge = knowledge_of(options)
    rule, knowledge = rule_named(options.rule, knowledge)
    if options.yaml and rule.file is not None:
        print(Path(rule.file).read_text(encoding="utf-8"), end="")
        return 0
    print(plain_text("\n".join(rule_in_words(rule))))
    return 0


def rule_in_words(rule: Rule) -> Iterator[str]:
    """The rule as lines of text."""
    yield rule.title
    yield f"  {rule.id}, {rule.status}, severity {rule.severity}, {rule.created}" + (
        "" if rule.rule_class == "kernel-bug" else f", {rule.rule_class}"
    )
    yield f"  {rule.file}"
    yield ""
    for paragraph in rule.description.strip().split("\n\n"):
        yield from textwrap.wrap(" ".join(paragraph.split()), 98, initial_indent="  ", subsequent_indent="  ")
    yield ""
    yield "It fits a crash if"
    yield from condition_in_words(rule.signature, 2)
    for condition in rule.state:
        yield f"Memory confirms it if a record of {condition.probe} has"
        yield from condition_in_words(condition.any_record, 2)
    for item in rule.exceptions:
        yield f"It does not speak ({item.reason}) if"
        yield from condition_in_words(item.when, 2)
    if rule.affected:
        yield "Affected"
    for affected in rule.affected:
        for one in affected.ranges:
            line = f" {one.branch or one.stream}" if one.branch or one.stream else ""
            start = "always" if one.introduced == "0" else f"from {one.introduced}"
            end = f"fixed in {one.fixed}" if one.fixed else "no fixed version known"
            yield f"  {affected.product}{line}: {start}, {end}"
        if affected.source:
            yield f"    source: {affected.source}"
    for title, rows in (
        ("Fixes", [f"{fix.commit[:12]} {fix.title}" for fix in rule.fixes]),
        ("Also known as", list(rule.aliases)),
        ("Related", list(rule.related)),
        ("Until then", [rule.workaround.strip()] if rule.workaround else []),
        ("See", list(rule.references)),
    ):
        if rows:
            yield title
            yield from (f"  {' '.join(row.split())}" for row in rows)


def condition_in_words(condition: Condition, indent: int) -> Iterator[str]:
    """The tree, one condition a line."""
    pad = " " * indent
    if isinstance(condition, Leaf):
        yield pad + condition.label()
        return
    if isinstance(condition, Similar):
        yield f"{pad}the crash is similar to one that was reported"
        return
    if isinstance(condition, AnyTask):
        yield f"{pad}any task:"
    else:
        count = f" {condition.count} of" if condition.combinator == "at-least" else ""
        yield f"{pad}{condition.combinator.replace('-', ' ')}{count}:"
    for child in condition.children:
        yield from condition_in_words(child, indent + 2)
