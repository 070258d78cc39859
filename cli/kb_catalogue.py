"""kbmatch kb catalogue and kb info: what is known, for readers."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

from kbmatch.engine.errors import InputError
from kbmatch.engine.rule import ACTIVE_STATUSES, Rule
from kbmatch.kb.authoring.catalogue import entry_of, index_markdown
from kbmatch.kb.store.files import SHIPPED
from kbmatch.kb.store.knowledge import KnowledgeBase


def write_catalogue(name: str, knowledge: KnowledgeBase) -> int:
    """Write the page (.html) or the index of curated rules (.md). Raises InputError if the file cannot be written."""
    path = Path(name)
    if path.suffix not in (".html", ".md"):
        print(f"kbmatch: {name}: a catalogue is a page, .html, or the index of curated rules, .md", file=sys.stderr)
        return 2
    if path.suffix == ".md":
        text = index_markdown(shipped_curated(knowledge), knowledge.products, SHIPPED.parent)
    else:
        from kbmatch.cli.reports.catalogue_page import MAX_BYTES, catalogue_page

        entries = [entry_of(rule, knowledge.products) for rule in knowledge.rules.values()]
        text = catalogue_page(entries, knowledge.products, knowledge.stamp)
        if len(text) > MAX_BYTES:
            print(f"kbmatch: {name} has {len(text):,} bytes, more than {MAX_BYTES:,}: slow to open", file=sys.stderr)
    try:
        path.write_text(text, "ascii" if path.suffix == ".html" else "utf-8")
    except OSError as error:
        raise InputError(f"{name}: cannot be written: {error.strerror}") from error
    print(f"wrote {name}, {len(text):,} bytes")
    return 0


def shipped_curated(knowledge: KnowledgeBase) -> list[Rule]:
    """The curated rules that came with kbmatch and take part."""
    return [rule for rule in knowledge.curated() if rule.status in ACTIVE_STATUSES]


def print_info(knowledge: KnowledgeBase) -> int:
    """Version, counts and sources of the knowledge in use."""
    stamp = knowledge.stamp
    print(f"knowledge of {stamp.version or 'no day'}, digest {stamp.digest}, kbmatch {stamp.program}")
    for override in stamp.overrides:
        print(f"  with {override}")
    print(f"{stamp.rules:6,d}  rules take part")
    print(f"{stamp.rules - stamp.curated:6,d}  mined from the kernel's CVE records (CVE terms of use, see NOTICE)")
    entries = [entry_of(rule, knowledge.products) for rule in knowledge.curated()]
    active = [entry for entry in entries if entry.rule.status in ACTIVE_STATUSES]
    print(f"{stamp.curated:6,d}  curated (Apache-2.0, each with its sources)")
    for name, count in sorted(Counter(entry.rule.rule_class for entry in active).items()):
        print(f"{count:12,d}  {name}")
    others = Counter(entry.rule.status for entry in entries if entry not in active)
    for name, count in sorted(others.items()):
        print(f"{count:12,d}  {name}, not in use")
    print("curated by subsystem:")
    for subsystem, count in sorted(Counter(entry.subsystem for entry in active).items()):
        print(f"{count:12,d}  {subsystem}")
    return 0
