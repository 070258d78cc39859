"""One folder's compiled knowledge, opened: looks candidates up and loads only the documents that are asked for."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kbmatch.engine.document import Node, Problems
from kbmatch.engine.errors import Diagnostic, KnowledgeError
from kbmatch.engine.products import Products
from kbmatch.engine.rule import Rule
from kbmatch.engine.rule_loader import load_rule
from kbmatch.engine.similarity import POSSIBLE
from kbmatch.kb.store.documents import document_from_json
from kbmatch.kb.store.tables import LAYOUT_TEXT, PROBE_TEXT

if TYPE_CHECKING:
    from kbmatch.engine.layout import Layout
    from kbmatch.engine.probe import Probe, ProbeHead

_BATCH = 400
"""Pairs asked for in one query; SQLite allows some 32,000 parameters, older ones 999."""


_FUNCTIONS = frozenset(("symbol", "culprit", "frame", "task-frame"))
REBUILD_CARRIED = "build it again with this kbmatch: kbmatch kb build FOLDER -o FILE"

_MOST_RESEMBLING = 200
"""Rules with scored leaves that are tried on one event; the bounds put the better ones first."""


class Layer:
    """A compiled folder. `statuses` are those of the rules that take part.

    `connection` is its database; `file` is None where no cache could be written. A `carried` one was compiled
    elsewhere: its values are not trusted. Every method raises KnowledgeError where the file is damaged.
    """

    def __init__(
        self, connection: sqlite3.Connection, statuses: frozenset[str], file: Path | None = None, carried: bool = False
    ) -> None:
        self.file = file
        self.carried = carried
        self.connection = connection
        self._statuses = statuses
        self._loaded: dict[int, Rule] = {}

    def meta(self, name: str) -> str:
        """One of the values that the compiler noted: format, digest, rules."""
        row = self._row("SELECT value FROM meta WHERE name = ?", (name,))
        return "" if row is None else str(row[0])

    def count(self, which: str = "rules") -> int:
        """How many rules take part, or "curated" ones; counted by the compiler: counting would read the whole file."""
        noted = [self.meta(f"{which} {status}") or "0" for status in self._statuses]
        try:
            return sum(map(int, noted))
        except ValueError as error:
            raise self.damaged("its number of rules is no number") from error

    def _number(self, value: Any) -> float:
        """A value of a column that holds numbers; SQLite keeps whatever was written there."""
        if not isinstance(value, (int, float)):
            raise self.damaged(f"the compiled knowledge is damaged ({str(value)[:40]!r} is no number)")
        return value

    def damaged(self, why: str) -> KnowledgeError:
        """The error for a file that does not hold what it should."""
        remedy = REBUILD_CARRIED if self.carried else "make it anew: kbmatch kb build"
        place = "memory" if self.file is None else str(self.file)
        return KnowledgeError([Diagnostic(place, 1, 1, "damaged", f"{why}; {remedy}")])

    def rows(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        """What a query gives."""
        try:
            return self.connection.execute(query, values).fetchall()
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise self.damaged(f"the compiled knowledge is damaged ({error})") from error

    def _row(self, query: str, values: Sequence[Any] = ()) -> Any:
        found = self.rows(query, values)
        return found[0] if found else None

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
                found.update(row[0] for row in self.rows(query, [fact, *batch]))
        found.update(self._resembling(dict.fromkeys(value for fact, value in pairs if fact in _FUNCTIONS)))
        for probe in probes:
            found.update(row[0] for row in self.rows("SELECT rule FROM probed WHERE probe = ?", (probe,)))
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
            yield from (row[0] for row in self.rows(query, [*names, POSSIBLE]))

    def homes(self, functions: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """The source files that define each of the functions; only of functions and files that rules are about."""
        found: dict[str, list[str]] = {}
        names = list(functions)
        for start in range(0, len(names), _BATCH):
            batch = names[start : start + _BATCH]
            query = f"SELECT function, files FROM home WHERE function IN ({','.join('?' * len(batch))})"  # noqa: S608
            found.update((str(row[0]), str(row[1]).split(" ")) for row in self.rows(query, batch))
        numbers = list(dict.fromkeys(number for listed in found.values() for number in listed))
        paths: dict[str, str] = {}
        for start in range(0, len(numbers), _BATCH):
            batch = numbers[start : start + _BATCH]
            query = f"SELECT number, path FROM source WHERE number IN ({','.join('?' * len(batch))})"  # noqa: S608
            paths.update((str(row[0]), str(row[1])) for row in self.rows(query, batch))
        return {name: tuple(paths[n] for n in listed if n in paths) for name, listed in found.items()}

    def related(self, traits: Mapping[str, float]) -> dict[int, list[tuple[str, float]]]:
        """Rule number -> the traits that it shares with these, and the products of both weights."""
        found: dict[int, list[tuple[str, float]]] = {}
        names = list(traits)
        for start in range(0, len(names), _BATCH):
            batch = names[start : start + _BATCH]
            query = f"SELECT rule, name, weight FROM trait WHERE name IN ({','.join('?' * len(batch))})"  # noqa: S608
            for number, name, weight in self.rows(query, batch):
                found.setdefault(number, []).append((name, self._number(weight) * traits[name]))
        return found

    def rule(
        self, number: int, products: Products, trusted_fields: dict[str, dict[str, str]], *, any_status: bool = False
    ) -> Rule | None:
        """The rule of that number, None if it does not take part (unless `any_status`)."""
        rule = self._loaded.get(number)
        if rule is not None and not any_status and rule.status not in self._statuses:
            return None
        if rule is None:
            row = self._row("SELECT status, file, document FROM rule WHERE number = ?", (number,))
            if row is None or (row[0] not in self._statuses and not any_status):
                return None
            problems = Problems()
            rule = load_rule(self._parsed(row[2], str(row[1])), problems, products, trusted_fields)
            if rule is None:
                raise KnowledgeError(problems.diagnostics)
            self._loaded[number] = rule
        return self._loaded[number]

    def number_of(self, rule_id: str) -> int | None:
        """The number of a rule, None if this folder has none of that id."""
        row = self._row("SELECT number FROM rule WHERE id = ?", (rule_id,))
        return None if row is None else int(row[0])

    def number_named(self, name: str) -> int | None:
        """The number of the rule of that id, or with that alias, in any case; None if there is none.

        Of a CVE that a written rule speaks of it is that one, not the mined one. An alias is looked for in all
        documents: for people who ask, not for a diagnosis.
        """
        if (number := self.number_of(name)) is not None and not name.startswith("cve-"):
            return number
        query = (
            "SELECT rule.number FROM rule, json_each(rule.document, '$.aliases') "
            "WHERE json_each.value = ? ORDER BY rule.id = ?"
        )
        row = self._row(query, (name.upper(), name.lower()))
        return self.number_of(name.lower()) if row is None else int(row[0])

    def file_of(self, rule_id: str) -> str | None:
        """The file of a rule, None if this folder has none of that id."""
        row = self._row("SELECT file FROM rule WHERE id = ?", (rule_id,))
        return None if row is None else str(row[0])

    def ids(self) -> Iterator[tuple[int, str]]:
        """Numbers and ids of all rules, whatever their status."""
        yield from ((number, str(rule_id)) for number, rule_id in self.rows("SELECT number, id FROM rule ORDER BY id"))

    def curated(self) -> Iterator[int]:
        """Numbers of the rules that have a file of their own: those that were not mined."""
        yield from (number for (number,) in self.rows("SELECT number FROM rule WHERE file NOT LIKE '%#%'"))

    def document(self, name: str) -> Node | None:
        """A document as nodes: "products", "probe <id>"; None if this folder has none such."""
        text = self._json(name)
        return None if text is None else self._parsed(text, name)

    def plain_document(self, name: str) -> Any:
        """A document as plain JSON values, None if this folder has none such."""
        text = self._json(name)
        try:
            return None if text is None else json.loads(text)
        except ValueError as error:
            raise self.damaged(f"{name!r} is no JSON") from error

    def _parsed(self, text: Any, name: str) -> Node:
        try:
            return document_from_json(str(text), name)
        except ValueError as error:
            raise self.damaged(f"a document of {name} is no JSON") from error

    def probe_names(self) -> list[str]:
        """Ids of this folder's probes."""
        return self.names("probe")

    def layout_names(self) -> list[str]:
        """Ids of this folder's layouts."""
        return self.names("layout")

    def names(self, kind: str) -> list[str]:
        """Names of the documents of a kind, without it: of "probe x", "x"."""
        query = "SELECT name FROM document WHERE name >= ? AND name < ? ORDER BY name"
        return [str(row[0]).removeprefix(f"{kind} ") for row in self.rows(query, (f"{kind} ", f"{kind}!"))]

    def probe_fields(self) -> dict[str, dict[str, str]]:
        """The field types of this folder's probes, by probe id."""
        found: dict[str, dict[str, str]] = self.plain_document("probe-fields") or {}
        if self.carried and not _is_text_table(found):
            raise self.damaged("the fields of its probes are no table")
        return found

    def register_modules(self) -> list[str]:
        """The modules of this folder's probes that can read a register file alone."""
        found: list[str] = self.plain_document("register-modules") or []
        if self.carried and not (isinstance(found, list) and all(isinstance(name, str) for name in found)):
            raise self.damaged("its list of modules is no list")
        return found

    def _json(self, name: str) -> str | None:
        row = self._row("SELECT json FROM document WHERE name = ?", (name,))
        return None if row is None else str(row[0])


def _is_text_table(value: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(fields, dict) and all(isinstance(type_, str) for type_ in fields.values())
        for fields in value.values()
    )


def written_probes(layer: Layer) -> dict[str, Probe]:
    """The probes by what their files said, checked as if read from there. Raises KnowledgeError."""
    from kbmatch.kb.store.probes import load_probe

    found: dict[str, Probe] = {}
    for name in layer.names(PROBE_TEXT):
        problems, node = Problems(), layer.document(f"{PROBE_TEXT} {name}")
        assert node is not None
        probe = load_probe(node, problems)
        if probe is None:
            raise KnowledgeError(problems.diagnostics)
        found[probe.id] = probe
    return found


def probe_of(layer: Layer, probe_id: str) -> Probe | None:
    """A probe of the layer; None if the layer has none of that id."""
    if layer.carried:
        return written_probes(layer).get(probe_id)
    plain = layer.plain_document(f"probe {probe_id}")
    if plain is None:
        return None
    from kbmatch.kb.store.frozen_probes import probe_of_plain

    return probe_of_plain(plain)


def layouts_of(layer: Layer) -> Iterator[Layout]:
    """The layer's layouts."""
    if layer.carried:
        from kbmatch.kb.store.layouts import load_layout

        for name in layer.names(LAYOUT_TEXT):
            problems, node = Problems(), layer.document(f"{LAYOUT_TEXT} {name}")
            assert node is not None
            layout = load_layout(node, problems)
            if layout is None:
                raise KnowledgeError(problems.diagnostics)
            yield layout
        return
    from kbmatch.kb.store.frozen_probes import layout_of_plain

    for name in layer.names("layout"):
        yield layout_of_plain(layer.plain_document(f"layout {name}"))


def heads_of(layer: Layer) -> Iterator[ProbeHead]:
    """The heads of the layer's probes."""
    if layer.carried:
        from kbmatch.engine.probe import ProbeHead

        yield from map(ProbeHead.of, written_probes(layer).values())
        return
    from kbmatch.kb.store.frozen_probes import head_of_plain

    yield from map(head_of_plain, layer.plain_document("probe-heads") or ())
