"""kbmatch explain: the whole tree of one rule on one crash, each condition true, false or unknown, and why."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import Any

from kbmatch.cli.input import add_input_options, input_options, read_incident
from kbmatch.cli.options import add_knowledge_options, knowledge_of, rule_named
from kbmatch.cli.style import plain_text
from kbmatch.engine.condition import show
from kbmatch.engine.contract import explanation_to_json
from kbmatch.engine.diagnose import SceneLookup, is_weak, judge_version
from kbmatch.engine.explanation import Explanation
from kbmatch.engine.facts import Scene
from kbmatch.engine.incident import Incident
from kbmatch.engine.logic import Truth, all_of
from kbmatch.engine.products import Products
from kbmatch.engine.rule import Rule
from kbmatch.engine.similarity import LIKELY, POSSIBLE
from kbmatch.engine.state import judge_state
from kbmatch.engine.verdict import combine

DESCRIPTION = """\
Say why a rule fits a crash, does not fit it, or cannot tell: every condition with what was found in its place.
RULE is an id (of any status) or a rule file; FILE as for kbmatch core."""

EPILOG = """\
exit status: 0 the rule fits an event, 1 it fits none, 2 an error"""

MARKS = {Truth.TRUE: "yes", Truth.FALSE: "no ", Truth.UNKNOWN: "?  "}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("rule", metavar="RULE")
    parser.add_argument("files", metavar="FILE", nargs="+")
    parser.add_argument("--event", type=int, metavar="N", help="explain this event alone, from 0 (default: all)")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="text (default) or json")
    add_knowledge_options(parser)
    add_input_options(parser)


def run(options: argparse.Namespace) -> int:
    """Explain and print. Exit status: 0 the rule fits an event, 1 it does not."""
    knowledge = knowledge_of(options)
    rule, knowledge = rule_named(options.rule, knowledge)
    with input_options(options) as how:
        incident = read_incident(options.files, knowledge, how)
    explained = [
        judged
        for judged in explain(rule, incident, knowledge.products)
        if options.event is None or judged["event"] == options.event
    ]
    if options.format == "json":
        print(json.dumps([_as_json(judged) for judged in explained], indent=2))
    else:
        print(plain_text("\n".join(_text(rule, incident, explained))))
    return 0 if any(judged["signature"].truth is Truth.TRUE for judged in explained) else 1


def explain(rule: Rule, incident: Incident, products: Products) -> list[dict[str, Any]]:
    """One entry an event (or one without an event where there is none): trees, version and verdict."""
    found: list[dict[str, Any]] = []
    state = tuple(judge_state(condition, incident) for condition in rule.state)
    truth = all_of(part.truth for part in state) if state else Truth.UNKNOWN
    for index, event in enumerate(incident.events) if incident.events else [(None, None)]:
        lookup = SceneLookup(Scene(incident, event))
        signature = rule.signature.judge(lookup)
        exceptions = tuple(item.when.judge(lookup) for item in rule.exceptions)
        excepted = any(item.truth is Truth.TRUE for item in exceptions)
        version = judge_version(rule, event, incident, products)
        judgement = combine(
            signature.truth, truth, version.status, excepted, rule.rule_class == "kernel-bug", weak=is_weak(signature)
        )
        found.append(
            {
                "event": index, "signature": signature, "state": state, "exceptions": exceptions, "version": version,
                "verdict": judgement.verdict.value if judgement else "none",
                "conflict": judgement.version_conflict if judgement else False,
            }
        )  # fmt: skip
    return found


def _as_json(judged: dict[str, Any]) -> dict[str, Any]:
    version = judged["version"]
    return {
        "event": judged["event"],
        "verdict": judged["verdict"],
        "version_conflict": judged["conflict"],
        "version": {"status": version.status.value, "why": version.why},
        "signature": explanation_to_json(judged["signature"]),
        "state": [explanation_to_json(tree) for tree in judged["state"]],
        "exceptions": [explanation_to_json(tree) for tree in judged["exceptions"]],
    }


def _text(rule: Rule, incident: Incident, explained: list[dict[str, Any]]) -> Iterator[str]:
    yield f"{rule.id}: {rule.title}"
    if rule.status not in ("test", "stable", "deprecated"):
        yield f"  its status is {rule.status}: kbmatch core does not ask it"
    for judged in explained:
        yield ""
        index = judged["event"]
        if index is None:
            yield "no crash in the input"
        else:
            event = incident.events[index]
            fatal = ", the one that ended the kernel" if event.fatal else ""
            line = f" (line {event.line})" if event.line is not None else ""
            yield f"event {index}{fatal}: {event.message}{line}"
        conflict = ", but the version says otherwise" if judged["conflict"] else ""
        yield f"  verdict: {judged['verdict']}{conflict}"
        yield from tree_lines(judged["signature"], "  signature: ", 2)
        for tree in judged["state"]:
            yield from tree_lines(tree, "  state: ", 2)
        for item, tree in zip(rule.exceptions, judged["exceptions"], strict=True):
            yield from tree_lines(tree, f"  exception ({item.reason}): ", 2)
        yield f"  version: {judged['version'].status.value}: {judged['version'].why}"


def tree_lines(node: Explanation, prefix: str, indent: int) -> Iterator[str]:
    """The tree as lines: the truth, the condition, what was found and where, or why it is not known."""
    found = ""
    if node.fact is not None:
        hexadecimal = node.fact in ("address", "offset", "size")
        known = node.observed is not None
        found = f" - it is {_short(show(node.observed, hexadecimal))}" if known else f" - {node.why or 'unknown'}"
        found += f" ({node.source})" if node.source and known else ""
    elif node.why:
        found = f" - {node.why}"
    if node.score is not None:
        found += f"; resemblance {node.score:.2f}, {LIKELY:.2f} would be an answer, {POSSIBLE:.2f} is possible"
    yield f"{prefix}[{MARKS[node.truth]}] {node.label}{found}"
    for child in node.children:
        yield from tree_lines(child, " " * (indent + 4), indent + 4)


def _short(text: str, limit: int = 160) -> str:
    return text if len(text) <= limit else text[: limit - 4] + " ..."
