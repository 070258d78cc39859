"""kbmatch rule list: which rules there are."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator

from kbmatch.cli.options import add_knowledge_options, knowledge_of
from kbmatch.cli.style import plain_text
from kbmatch.engine.condition import leaves
from kbmatch.engine.rule import SEVERITIES, STATUSES, Rule

DESCRIPTIONS = {"list": "List rules; every filter that is given must fit."}


def add_arguments(name: str, parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("text", metavar="TEXT", nargs="?", help="a text in id, title, aliases or commits")
    parser.add_argument("--status", choices=STATUSES, action="append", default=[], help="of this status (repeatable)")
    parser.add_argument("--severity", choices=SEVERITIES, action="append", default=[], help="of this severity")
    parser.add_argument("--kind", help="whose signature names this kind of crash")
    parser.add_argument("--function", metavar="NAME", help="whose signature names this function")
    parser.add_argument("--product", help="with affected versions of this product")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="text (default) or json")
    add_knowledge_options(parser)


def run(options: argparse.Namespace) -> int:
    """Print the rules. Exit status: 0, or 1 if there is none."""
    knowledge = knowledge_of(options)
    rules = [rule for rule in knowledge.all_rules() if all(_fits(rule, options))]
    if options.format == "json":
        print(json.dumps([_as_json(rule) for rule in rules], indent=2))
        return 0 if rules else 1
    width = max((len(rule.id) for rule in rules), default=0)
    for rule in rules:
        print(plain_text(f"{rule.id:<{width}}  {rule.status:<10} {rule.severity:<8}  {rule.title}"))
    print(f"{len(rules)} rule{'s' * (len(rules) != 1)}")
    return 0 if rules else 1


def _fits(rule: Rule, options: argparse.Namespace) -> Iterator[bool]:
    if options.text:
        words = (rule.id, rule.title, *rule.aliases, *(fix.commit for fix in rule.fixes))
        yield any(options.text.lower() in word.lower() for word in words)
    if options.status:
        yield rule.status in options.status
    if options.severity:
        yield rule.severity in options.severity
    if options.product:
        yield any(affected.product == options.product for affected in rule.affected)
    if options.kind:
        yield _names(rule, ("kind",), options.kind)
    if options.function:
        yield _names(rule, ("symbol", "culprit", "frame", "task-frame"), options.function)


def _names(rule: Rule, facts: tuple[str, ...], value: str) -> bool:
    return any(leaf.fact in facts and value in leaf.values for leaf in leaves(rule.signature))


def _as_json(rule: Rule) -> dict[str, object]:
    return {
        "id": rule.id, "title": rule.title, "status": rule.status, "severity": rule.severity, "class": rule.rule_class,
        "created": rule.created, "products": [a.product for a in rule.affected], "aliases": list(rule.aliases),
        "fixes": [fix.commit for fix in rule.fixes], "related": list(rule.related), "file": rule.file,
    }  # fmt: skip
