"""Options that several commands share: which knowledge is used, and one rule named by id or file."""

from __future__ import annotations

import argparse
from pathlib import Path

from kbmatch.cli.progress import ProgressBar
from kbmatch.engine.document import nearest
from kbmatch.engine.errors import KbmatchError
from kbmatch.engine.rule import Rule
from kbmatch.kb.store.knowledge import KnowledgeBase


def compiling_bar() -> ProgressBar:
    """Progress of compiling."""
    return ProgressBar("compiling the knowledge base")


class UnknownRule(KbmatchError):
    """A rule was asked for that is not there; the text names the nearest one."""


def add_knowledge_options(parser: argparse.ArgumentParser) -> None:
    """Declare --rules, --drafts and --site."""
    parser.add_argument(
        "--rules", metavar="DIR", action="append", default=[],
        help="use the rules in DIR too, or those in a file that kbmatch kb build -o wrote",
    )  # fmt: skip
    parser.add_argument("--drafts", action="store_true", help="let rules of status draft take part")
    parser.add_argument(
        "--site", metavar="FILE", help="rules that this site disables or makes exceptions from "
        "(default: /etc/kbmatch/site.yaml, if it is there)",
    )  # fmt: skip


def knowledge_of(options: argparse.Namespace) -> KnowledgeBase:
    """The knowledge base that the options describe, not opened yet."""
    site = Path(options.site) if options.site is not None else None
    return KnowledgeBase(
        [Path(folder) for folder in options.rules],
        drafts=options.drafts,
        site=site,
        compiling=compiling_bar,
    )


def rule_named(name: str, knowledge: KnowledgeBase) -> tuple[Rule, KnowledgeBase]:
    """The rule of that id or file, whatever its status, and the knowledge base that holds it.

    Raises UnknownRule, and KnowledgeError if the file is no rule.
    """
    path = Path(name)
    if path.suffix == ".yaml" or "/" in name:
        from kbmatch.engine.document import Problems
        from kbmatch.engine.errors import KnowledgeError
        from kbmatch.engine.rule_loader import load_rule
        from kbmatch.kb.store.yaml_reader import read_yaml

        problems = Problems()
        rule = load_rule(read_yaml(path), problems, knowledge.products, knowledge.probe_fields)
        if rule is None:
            raise KnowledgeError(problems.diagnostics)
        return rule, knowledge
    found = knowledge.get_any(name)
    if found is None:
        hint = nearest(name, knowledge.ids()) or "; kbmatch rule list shows all"
        raise UnknownRule(f"there is no rule {name!r}{hint}")
    return found, knowledge
