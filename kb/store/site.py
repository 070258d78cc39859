"""The site file: which rules this site does not want, and when others must not speak here. It never edits a tree.

format: 1
rules: [/srv/kbmatch/rules]       # folders or compiled files, used as with --rules; relative to this file
disable:
  - {rule: some-rule, reason: "we run our own build of this driver"}
exceptions:
  - rule: other-rule
    when: {hardware: {contains: "ACME"}}
    reason: "our firmware has the workaround"
"""

from __future__ import annotations

from collections.abc import Mapping as MappingType
from pathlib import Path

from kbmatch.engine.condition_loader import EventVocabulary, load_condition
from kbmatch.engine.document import Mapping, Problems, Reader
from kbmatch.engine.errors import KnowledgeError
from kbmatch.engine.rule import Exclusion, Rule
from kbmatch.engine.values import dataclass, field, replace


@dataclass(frozen=True, slots=True)
class Site:
    """What a site file says: reasons of disabled rules and further exceptions, by rule id; folders of further rules."""

    path: Path
    disabled: MappingType[str, str] = field(default_factory=dict)
    exceptions: MappingType[str, tuple[Exclusion, ...]] = field(default_factory=dict)
    rules: tuple[Path, ...] = ()

    def applied(self, rule: Rule) -> Rule | None:
        """The rule with the site's exceptions, None if the site disabled it."""
        if rule.id in self.disabled:
            return None
        more = self.exceptions.get(rule.id)
        return replace(rule, exceptions=(*rule.exceptions, *more)) if more else rule

    def summary(self) -> str:
        """The file and what it does, for reports."""
        parts = []
        if self.rules:
            parts.append(f"adds {', '.join(map(str, self.rules))}")
        if self.disabled:
            parts.append(f"disables {', '.join(sorted(self.disabled))}")
        if self.exceptions:
            parts.append(f"exceptions to {', '.join(sorted(self.exceptions))}")
        return f"{self.path} ({'; '.join(parts) or 'changes nothing'})"


def load_site(path: Path) -> Site:
    """The site file. Raises KnowledgeError with everything that is wrong in it."""
    from kbmatch.kb.store.yaml_reader import read_yaml

    problems = Problems()
    node = read_yaml(path)
    if not isinstance(node, Mapping):
        problems.add(node, "not-a-site", "a site file holds one mapping with the key 'format'")
        raise KnowledgeError(problems.diagnostics)
    reader = Reader(node, problems, "a site file")
    reader.check_keys(("format", "rules", "disable", "exceptions"), ("format",))
    if (version := reader.integer("format")) is not None and version != 1:
        problems.add(node.get("format") or node, "format", "this kbmatch reads site files of format 1")
    disabled: dict[str, str] = {}
    for item in reader.mappings("disable"):
        entry = Reader(item, problems, "a disabled rule")
        entry.check_keys(("rule", "reason"), ("rule", "reason"))
        disabled[entry.text("rule") or ""] = entry.text("reason") or ""
    exceptions: dict[str, tuple[Exclusion, ...]] = {}
    for item in reader.mappings("exceptions"):
        entry = Reader(item, problems, "an exception")
        entry.check_keys(("rule", "when", "reason"), ("rule", "when", "reason"))
        when = load_condition(item.get("when"), problems, EventVocabulary())
        rule, reason = entry.text("rule"), entry.text("reason")
        if when is not None and rule is not None and reason is not None:
            said = Exclusion(when, f"{reason} ({path})")
            exceptions[rule] = (*exceptions.get(rule, ()), said)
    if problems.diagnostics:
        raise KnowledgeError(problems.diagnostics)
    return Site(path, disabled, exceptions, tuple(path.parent / name for name in reader.texts("rules")))
