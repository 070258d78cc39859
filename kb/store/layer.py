"""One folder's compiled knowledge, opened: looks candidates up and loads only the documents that are asked for."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from kbmatch.engine.document import Node, Problems
from kbmatch.engine.errors import KnowledgeError
from kbmatch.engine.products import Products
from kbmatch.engine.rule import Rule
from kbmatch.engine.rule_loader import load_rule
from kbmatch.engine.similarity import POSSIBLE
from kbmatch.kb.store.documents import document_from_json

if TYPE_CHECKING:
    from kbmatch.engine.layout import Layout
    from kbmatch.engine.probe import Probe, ProbeHead

_BATCH = 400
"""Pairs asked for in one query; SQLite allows some 32,000 parameters, older ones 999."""


_FUNCTIONS = frozenset(("symbol", "culprit", "frame", "task-frame"))
_MOST_RESEMBLING = 200
"""Rules with scored leaves that are tried on one event; the bounds put the better ones first."""


class Layer:
    """A compiled folder. `statuses` are those of the rules that take part."""

    def __init__(self, connection: sqlite3.Connection, statuses: frozenset[str]) -> None:
        self._connection = connection
        self._statuses = statuses
        self._loaded: dict[int, Rule] = {}

    def meta(self, name: str) -> str:
        """One of the values that the compiler noted: format, digest, rules."""
        row = self._connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return "" if row is None else str(row[0])

    def count(self) -> int:
        """How many rules take part; counted by the compiler, since counting would read the whole file."""
        return sum(int(self.meta(f"rules {status}") or 0) for status in self._statuses)

    def numbers(self, keys: Iterable[tuple[str, str]], probes: Iterable[str]) -> set[int]:
        """Numbers of the rules that one of the pairs (fact, value) or one of the probes leads to."""
        found: set[int] = set()
        pairs = list(dict.fromkeys(keys))
        by_fact: dict[str, list[str]] = {}
        for fact, value in pairs:
            by_fact.setdefault(fact, []).append(value)
        for fact, values in by_fact.items():
            for start in range(0, len(values), _BATCH):
                batch = values[start : start + _BATCH]
                # one fact a query: pairs in one IN list would make SQLite read the whole table
                query = f"SELECT rule FROM entry WHERE fact = ? AND value IN ({','.join('?' * len(batch))})"  # noqa: S608
                found.update(row[0] for row in self._connection.execute(query, [fact, *batch]))
        found.update(self._resembling(dict.fromkeys(value for fact, value in pairs if fact in _FUNCTIONS)))
        for probe in probes:
            found.update(
                row[0] for row in self._connection.execute("SELECT rule FROM probed WHERE probe = ?", (probe,))
            )
        return found

    def _resembling(self, functions: Iterable[str]) -> Iterator[int]:
        """Numbers of the rules whose scored leaf these functions can make true, the most promising first."""
        names = list(functions)[:_BATCH]
        if names:
            marks = ",".join("?" * len(names))
            query = (
                f"SELECT rule FROM resembling WHERE function IN ({marks}) "  # noqa: S608 - only marks and a constant
                f"GROUP BY rule HAVING sum(bound) >= ? ORDER BY sum(bound) DESC, rule LIMIT {_MOST_RESEMBLING}"
            )
            yield from (row[0] for row in self._connection.execute(query, [*names, POSSIBLE]))

    def rule(
        self, number: int, products: Products, trusted_fields: dict[str, dict[str, str]], *, any_status: bool = False
    ) -> Rule | None:
        """The rule of that number, None if it does not take part (unless `any_status`)."""
        rule = self._loaded.get(number)
        if rule is not None and not any_status and rule.status not in self._statuses:
            return None
        if rule is None:
            row = self._connection.execute(
                "SELECT status, file, document FROM rule WHERE number = ?", (number,)
            ).fetchone()
            if row is None or (row[0] not in self._statuses and not any_status):
                return None
            problems = Problems()
            rule = load_rule(document_from_json(row[2], row[1]), problems, products, trusted_fields)
            if rule is None:
                raise KnowledgeError(problems.diagnostics)
            self._loaded[number] = rule
        return self._loaded[number]

    def number_of(self, rule_id: str) -> int | None:
        """The number of a rule, None if this folder has none of that id."""
        row = self._connection.execute("SELECT number FROM rule WHERE id = ?", (rule_id,)).fetchone()
        return None if row is None else int(row[0])

    def number_named(self, name: str) -> int | None:
        """The number of the rule of that id, or with that alias, in any case; None if there is none.

        An alias is looked for in all documents: for people who ask, not for a diagnosis.
        """
        for rule_id in (name, name.lower()):
            if (number := self.number_of(rule_id)) is not None:
                return number
        query = "SELECT rule.number FROM rule, json_each(rule.document, '$.aliases') WHERE json_each.value = ?"
        row = self._connection.execute(query, (name.upper(),)).fetchone()
        return None if row is None else int(row[0])

    def file_of(self, rule_id: str) -> str | None:
        """The file of a rule, None if this folder has none of that id."""
        row = self._connection.execute("SELECT file FROM rule WHERE id = ?", (rule_id,)).fetchone()
        return None if row is None else str(row[0])

    def ids(self) -> Iterator[tuple[int, str]]:
        """Numbers and ids of all rules, whatever their status."""
        yield from self._connection.execute("SELECT number, id FROM rule ORDER BY id")

    def document(self, name: str) -> Node | None:
        """A document as nodes: "products", "probe <id>"; None if this folder has none such."""
        text = self._json(name)
        return None if text is None else document_from_json(text, name)

    def plain_document(self, name: str) -> Any:
        """A document as plain JSON values, None if this folder has none such."""
        text = self._json(name)
        return None if text is None else json.loads(text)

    def probe_names(self) -> list[str]:
        """Ids of this folder's probes."""
        return self._names("probe")

    def layout_names(self) -> list[str]:
        """Ids of this folder's layouts."""
        return self._names("layout")

    def _names(self, kind: str) -> list[str]:
        query = "SELECT name FROM document WHERE name >= ? AND name < ? ORDER BY name"
        return [row[0].removeprefix(f"{kind} ") for row in self._connection.execute(query, (f"{kind} ", f"{kind}!"))]

    def probe_fields(self) -> dict[str, dict[str, str]]:
        """The field types of this folder's probes, by probe id."""
        found: dict[str, dict[str, str]] = self.plain_document("probe-fields") or {}
        return found

    def _json(self, name: str) -> str | None:
        row = self._connection.execute("SELECT json FROM document WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])


def probe_of(layer: Layer, probe_id: str) -> Probe | None:
    """A probe of the layer; None if the layer has none of that id."""
    plain = layer.plain_document(f"probe {probe_id}")
    if plain is None:
        return None
    from kbmatch.kb.store.frozen_probes import probe_of_plain

    return probe_of_plain(plain)


def layouts_of(layer: Layer) -> Iterator[Layout]:
    """The layer's layouts."""
    from kbmatch.kb.store.frozen_probes import layout_of_plain

    for name in layer.layout_names():
        yield layout_of_plain(layer.plain_document(f"layout {name}"))


def heads_of(layer: Layer) -> Iterator[ProbeHead]:
    """The heads of the layer's probes."""
    from kbmatch.kb.store.frozen_probes import head_of_plain

    yield from map(head_of_plain, layer.plain_document("probe-heads") or ())
