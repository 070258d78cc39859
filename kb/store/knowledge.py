"""The knowledge base: finds rule and probe files, loads them, and looks candidates up by fact."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from kbmatch.engine.condition import index_entries
from kbmatch.engine.document import Problems
from kbmatch.engine.errors import Diagnostic, KnowledgeError
from kbmatch.engine.facts import SELECTIVE
from kbmatch.engine.probe import Probe
from kbmatch.engine.products import Products
from kbmatch.engine.rule import ACTIVE_STATUSES, Rule
from kbmatch.engine.rule_loader import load_rule
from kbmatch.kb.store.probes import load_probe_files
from kbmatch.kb.store.products import load_products
from kbmatch.kb.store.yaml_reader import read_yaml

SHIPPED = Path(__file__).resolve().parent.parent
"""The kb folder that is installed with kbmatch."""

_SELECTIVE = frozenset(fact.name for fact in SELECTIVE)


@dataclass(frozen=True, slots=True)
class KnowledgeStamp:
    """What a report says of the knowledge it used. `digest` is SHA-256 over all rule and probe files, 16 hex digits."""

    version: str
    rules: int
    digest: str
    overrides: tuple[str, ...]


class KnowledgeBase:
    """
    Rules, probes and products: the shipped ones, and those of further folders.

    Everything is read when first asked for. A rule of a further folder may not take a shipped rule's id.
    """

    def __init__(self, folders: Sequence[Path] = (), *, shipped: Path = SHIPPED, drafts: bool = False) -> None:
        self._shipped = shipped
        self._folders = tuple(folders)
        self._drafts = drafts

    @cached_property
    def products(self) -> Products:
        """The product table. Raises KnowledgeError."""
        return load_products(self._shipped / "products.yaml")

    @cached_property
    def rules(self) -> Mapping[str, Rule]:
        """All rules that take part, by id. Raises KnowledgeError with everything wrong in any file."""
        problems = Problems()
        fields = {probe.id: {f.name: f.type for f in probe.record} for probe in self.probes()}
        found: dict[str, Rule] = {}
        for path in self._rule_files:
            try:
                rule = load_rule(read_yaml(path), problems, self.products, fields)
            except KnowledgeError as error:
                problems.diagnostics.extend(error.diagnostics)
                continue
            if rule is None:
                continue
            if rule.id in found:
                other = found[rule.id].file
                problems.diagnostics.append(
                    Diagnostic(str(path), 1, 1, "duplicate-id", f"rule {rule.id} stands already in {other}")
                )
            found[rule.id] = rule
        if problems.diagnostics:
            raise KnowledgeError(problems.diagnostics)
        active = ACTIVE_STATUSES | ({"draft"} if self._drafts else set())
        return {id_: rule for id_, rule in found.items() if rule.status in active}

    @cached_property
    def _probes(self) -> tuple[Probe, ...]:
        paths = sorted(path for folder in self._roots for path in (folder / "probes").glob("*.yaml"))
        return load_probe_files(paths)

    def probes(self) -> tuple[Probe, ...]:
        """All probes. Raises KnowledgeError."""
        return self._probes

    def get(self, rule_id: str) -> Rule | None:
        """One rule by id, None if there is none such among those that take part."""
        return self.rules.get(rule_id)

    def candidates(self, keys: Iterable[tuple[str, str]], probes: Iterable[str]) -> Sequence[Rule]:
        """Rules with at least one selective leaf among `keys`, or with a state condition on one of `probes`; by id."""
        by_fact, by_probe = self._index
        ids = {id_ for key in keys for id_ in by_fact.get(key, ())}
        ids.update(id_ for probe in probes for id_ in by_probe.get(probe, ()))
        return [self.rules[id_] for id_ in sorted(ids)]

    @cached_property
    def _index(self) -> tuple[dict[tuple[str, str], list[str]], dict[str, list[str]]]:
        by_fact: dict[tuple[str, str], list[str]] = {}
        by_probe: dict[str, list[str]] = {}
        for rule in self.rules.values():
            for key in index_entries(rule.signature, _SELECTIVE):
                by_fact.setdefault(key, []).append(rule.id)
            for condition in rule.state:
                by_probe.setdefault(condition.probe, []).append(rule.id)
        return by_fact, by_probe

    @cached_property
    def stamp(self) -> KnowledgeStamp:
        """Version, number of rules, digest, and the further folders in use."""
        digest = hashlib.sha256()
        for path in (
            *self._rule_files,
            *sorted(p for f in self._roots for p in (f / "probes").glob("*.yaml")),
        ):
            digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
        return KnowledgeStamp(_version(), len(self.rules), digest.hexdigest()[:16], tuple(map(str, self._folders)))

    @property
    def _roots(self) -> tuple[Path, ...]:
        return (self._shipped, *self._folders)

    @cached_property
    def _rule_files(self) -> tuple[Path, ...]:
        """Rule files, sorted; tests beside them are no rules. A further folder holds rules itself or under rules/."""
        shipped = sorted((self._shipped / "rules").rglob("*.yaml"))
        found = list(shipped)
        for folder in self._folders:
            if not folder.is_dir():
                raise KnowledgeError(
                    [
                        Diagnostic(
                            str(folder),
                            1,
                            1,
                            "no-folder",
                            "--rules names a folder of rule files, this is none",
                        )
                    ]
                )
            skipped = {folder / "probes", folder / "layouts", folder / "schema"}
            found += sorted(p for p in folder.rglob("*.yaml") if not skipped & set(p.parents))
        return tuple(path for path in found if not path.name.endswith(".test.yaml"))


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("kbmatch")
    except PackageNotFoundError:
        return "unknown"
