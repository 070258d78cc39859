"""Writes mined rules: one YAML file a subsystem, sorted by id, keys in a fixed order, so that a re-run changes
little.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from kbmatch.kb.store.mined import OVERRIDES, MinedRule

MAX_BYTES = 900_000
"""A file that would be larger is split by the year of the record: the repository takes none above 1 MiB."""
_PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./+-]*")
_WORDS = frozenset(("true", "false", "yes", "no", "on", "off", "null", "y", "n"))


def file_text(subsystem: str, rules: Sequence[MinedRule]) -> str:
    """The file of one subsystem."""
    lines = ["# Mined by kbmatch kb mine from the kernel CVE records (see NOTICE); hand edits go to overrides.yaml."]
    lines += ["format: 1", f"subsystem: {subsystem}", "rules:"]
    for rule in sorted(rules, key=sort_key):
        lines += _rule_lines(rule)
    return "\n".join(lines) + "\n"


def sort_key(rule: MinedRule) -> tuple[int, int]:
    """Order of rules: by year and number of the record."""
    _, year, number = rule.id.split("-")
    return int(year), int(number)


def write_rules(rules: Iterable[MinedRule], folder: Path) -> dict[str, int]:
    """Write the files into `folder`, remove those of subsystems without rules; return file name -> number of rules.

    Unchanged files are not touched.
    """
    by_file: dict[str, list[MinedRule]] = defaultdict(list)
    for rule in rules:
        by_file[rule.subsystem].append(rule)
    texts: dict[str, str] = {}
    counts: dict[str, int] = {}
    for subsystem, own in sorted(by_file.items()):
        text = file_text(subsystem, own)
        if len(text) <= MAX_BYTES:
            texts[f"{subsystem}.yaml"], counts[f"{subsystem}.yaml"] = text, len(own)
            continue
        for year in sorted({rule.id.split("-")[1] for rule in own}):
            part = [rule for rule in own if rule.id.split("-")[1] == year]
            texts[f"{subsystem}-{year}.yaml"], counts[f"{subsystem}-{year}.yaml"] = (
                file_text(subsystem, part),
                len(part),
            )
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob("*.yaml"):
        if path.name != OVERRIDES and path.name not in texts:
            path.unlink()
    for name, text in texts.items():
        path = folder / name
        if not path.is_file() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")
    return counts


def _rule_lines(rule: MinedRule) -> list[str]:
    lines = [
        f"  - id: {rule.id}",
        f"    title: {_quoted(rule.title)}",
        f"    status: {rule.status}",
        f"    tier: {rule.tier}",
    ]
    if rule.anchor:
        lines.append(f"    anchor: {_listed(rule.anchor)}")
    lines.append("    crashes:")
    for crash in rule.crashes:
        parts = [f"kind: {crash.kind}"]
        parts += [f"top: {_scalar(crash.top)}"] if crash.top else []
        parts += [f"blamed: {_listed(crash.blamed)}"]
        parts += [f"frames: {_listed(crash.frames)}"] if crash.frames else []
        parts += [f"at: {_scalar(crash.at)}"] if crash.at else []
        parts += [f"access: {crash.access}"] if crash.access else []
        parts += ["titled: true"] if crash.titled else []
        parts += [f"check: {_scalar(crash.check)}"] if crash.check else []
        lines.append(f"      - {{{', '.join(parts)}}}")
    if rule.mentioned:
        lines.append(f"    mentioned: {_listed(rule.mentioned)}")
    for key, names in (
        ("named", rule.named),
        ("files", rule.files),
        ("seen", rule.seen),
        ("boards", rule.boards),
        ("causes", rule.causes),
    ):
        if names:
            lines.append(f"    {key}: {_listed(names)}")
    lines.append(f"    ranges: [{', '.join(map(_quoted, rule.ranges))}]")
    if rule.related:
        lines.append(f"    related: [{', '.join(rule.related)}]")
    return lines


def _listed(names: Sequence[str]) -> str:
    return f"[{', '.join(map(_scalar, names))}]"


def _scalar(text: str) -> str:
    return text if _PLAIN.fullmatch(text) and text.lower() not in _WORDS else _quoted(text)


def _quoted(text: str) -> str:
    # YAML's double-quoted style takes JSON's escapes
    import json

    return json.dumps(text, ensure_ascii=False)
