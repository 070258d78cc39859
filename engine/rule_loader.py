"""From a document to a Rule, with every mistake reported at its place."""

from __future__ import annotations

import re
from collections.abc import Mapping as MappingType
from datetime import date
from pathlib import PurePath

from kbmatch.engine.affected import Affected, VersionRange, check_range
from kbmatch.engine.condition import Combination, Condition, is_indexable
from kbmatch.engine.condition_loader import EventVocabulary, RecordVocabulary, load_condition
from kbmatch.engine.document import Mapping, Node, Problems, Reader, Sequence
from kbmatch.engine.facts import SELECTIVE
from kbmatch.engine.products import Products
from kbmatch.engine.register_facts import unbound_registers
from kbmatch.engine.rule import ACTIONS, CLASSES, SEVERITIES, STATUSES, Exclusion, Fix, Rule, StateCondition

FORMAT = 1
KEYS = (
    "format", "id", "title", "status", "severity", "class", "action", "created", "description", "signature", "state",
    "exceptions", "affected", "fixes", "aliases", "related", "workaround", "references",
)  # fmt: skip
_REQUIRED = ("format", "id", "title", "status", "severity", "created", "description", "signature")
_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_COMMIT = re.compile(r"[0-9a-f]{12,40}")
_SELECTIVE = frozenset(fact.name for fact in SELECTIVE)

ProbeFields = MappingType[str, MappingType[str, str]]
"""Field types ("integer", "text") by field name, by probe id."""


def load_rule(
    node: Node, problems: Problems, products: Products, probes: ProbeFields, *, partial: bool = False
) -> Rule | None:
    """The rule, or None after noting what is wrong with it.

    A rule that refers to products, streams, probes or facts that do not exist is wrong as a whole. With `partial` what
    could be read of it is returned all the same, as long as it has a signature: for the linter alone.
    """
    before = len(problems.diagnostics)
    if not isinstance(node, Mapping):
        problems.add(node, "not-a-rule", "a rule file holds one mapping with the key 'format'")
        return None
    reader = Reader(node, problems, "a rule")
    reader.check_keys(KEYS, _REQUIRED)
    if (version := reader.integer("format")) is not None and version != FORMAT:
        problems.add(node.get("format") or node, "format", f"this kbmatch reads rules of format {FORMAT}")
    id_ = _load_id(reader)
    created = _load_date(reader)
    signature = load_condition(node.get("signature"), problems, EventVocabulary(signature=True))
    if signature is not None and not is_indexable(signature, _SELECTIVE):
        where = node.get("signature") or node
        if all(isinstance(part, Combination) and part.combinator == "not" for part in _parts(signature)):
            problems.add(where, "lone-not", "the signature says only what the crash is not; say what it is")
        else:
            problems.add(
                where,
                "not-selective",
                f"the signature can be true without any of {', '.join(sorted(_SELECTIVE))}; name one of them",
            )
    if signature is not None:
        for leaf in unbound_registers(signature):
            what = f"{leaf.fact!r} means something in one build only: put 'build-id' or 'code' (24 or more known bytes)"
            problems.add(leaf.mark or node, "unbound-register", f"{what} beside it, under one 'all'")
    rule = Rule(
        id=id_ or "",
        title=reader.text("title") or "",
        status=reader.one_of("status", STATUSES) or "draft",
        severity=reader.one_of("severity", SEVERITIES) or "low",
        rule_class=reader.one_of("class", CLASSES) or "kernel-bug",
        action=reader.one_of("action", ACTIONS),
        created=created or "",
        description=reader.text("description") or "",
        signature=signature,  # type: ignore[arg-type]  # None only together with a problem
        state=_load_state(reader, probes),
        exceptions=_load_exceptions(reader),
        affected=_load_affected(reader, products),
        fixes=_load_fixes(reader),
        aliases=reader.texts("aliases"),
        related=reader.texts("related"),
        workaround=reader.text("workaround"),
        references=reader.texts("references"),
        file=node.mark.file,
    )
    if partial and signature is not None:
        return rule
    return rule if len(problems.diagnostics) == before else None


def _parts(condition: Condition) -> tuple[Condition, ...]:
    """What the condition demands: the children of an "all", else itself."""
    if isinstance(condition, Combination) and condition.combinator == "all":
        return condition.children
    return (condition,)


def _load_date(reader: Reader) -> str | None:
    value = _checked(reader, "created", _DATE, 'a date like "2026-11-22"', "bad-date")
    node = reader.node.get("created")
    if value is not None and node is not None:
        try:
            date.fromisoformat(value)
        except ValueError as error:
            reader.problems.add(node, "bad-date", f"'created' is no day of the calendar: {error}")
            return None
    return value


def _load_id(reader: Reader) -> str | None:
    id_ = _checked(reader, "id", _ID, "lower-case words and hyphens", "bad-id")
    node = reader.node.get("id")
    file, _, listed = reader.node.mark.file.partition("#")  # "mined/net-core.yaml#cve-2024-1234": one of many in a file
    stem = listed or PurePath(file).stem
    if id_ is not None and node is not None and stem != id_:
        reader.problems.add(node, "id-path", f"the id {id_!r} must equal the file name {stem!r}")
    return id_


def _checked(reader: Reader, key: str, pattern: re.Pattern[str], wanted: str, code: str) -> str | None:
    value = reader.text(key)
    node = reader.node.get(key)
    if value is None or node is None or pattern.fullmatch(value):
        return value
    reader.problems.add(node, code, f"{key!r} must be {wanted}, {value!r} is not")
    return None


def _load_state(reader: Reader, probes: ProbeFields) -> tuple[StateCondition, ...]:
    found: list[StateCondition] = []
    for node in reader.mappings("state"):
        entry = Reader(node, reader.problems, "a state condition")
        entry.check_keys(("probe", "any-record"), ("probe", "any-record"))
        probe = entry.text("probe")
        if probe is None:
            continue
        if probe not in probes:
            known = ", ".join(sorted(probes)) or "none"
            reader.problems.add(node.get("probe") or node, "unknown-probe", f"no probe {probe!r}; known: {known}")
            continue
        tree = load_condition(node.get("any-record"), reader.problems, RecordVocabulary(probes[probe]))
        if tree is not None:
            found.append(StateCondition(probe, tree))
    return tuple(found)


def _load_exceptions(reader: Reader) -> tuple[Exclusion, ...]:
    found: list[Exclusion] = []
    for node in reader.mappings("exceptions"):
        entry = Reader(node, reader.problems, "an exception")
        entry.check_keys(("when", "reason"), ("when", "reason"))
        when: Condition | None = load_condition(node.get("when"), reader.problems, EventVocabulary())
        reason = entry.text("reason")
        if when is not None and reason is not None:
            found.append(Exclusion(when, reason))
    return tuple(found)


def _load_affected(reader: Reader, products: Products) -> tuple[Affected, ...]:
    problems = reader.problems
    found: list[Affected] = []
    for node in reader.mappings("affected"):
        entry = Reader(node, problems, "an affected product")
        entry.check_keys(("product", "ranges", "source"), ("product", "ranges"))
        name = entry.text("product")
        product = products.get(name) if name else None
        if name and product is None:
            problems.add(node.get("product") or node, "unknown-product", f"no product {name!r} in products.yaml")
        ranges: list[VersionRange] = []
        if isinstance(node.get("ranges"), Sequence) and not entry.mappings("ranges"):
            problems.add(node.get("ranges") or node, "bad-value", "'ranges' is empty")
        for item in entry.mappings("ranges"):
            part = Reader(item, problems, "a range")
            part.check_keys(("branch", "stream", "introduced", "fixed"), ("introduced",))
            introduced = part.text("introduced")
            if introduced is None:
                continue
            loaded = VersionRange(
                introduced=introduced,
                fixed=part.text("fixed"),
                branch=part.text("branch"),
                stream=part.text("stream"),
            )
            ranges.append(loaded)
            if name and product is not None:
                for problem in check_range(loaded, name, products):
                    problems.add(item.get(problem.key) or item, problem.code, str(problem))
        if name:
            found.append(Affected(product=name, ranges=tuple(ranges), source=entry.text("source")))
    return tuple(found)


def _load_fixes(reader: Reader) -> tuple[Fix, ...]:
    found: list[Fix] = []
    for node in reader.mappings("fixes"):
        entry = Reader(node, reader.problems, "a fix")
        entry.check_keys(("commit", "title"), ("commit", "title"))
        commit = _checked(entry, "commit", _COMMIT, "12 to 40 lower-case hex digits", "bad-commit")
        title = entry.text("title")
        if commit is not None and title is not None:
            found.append(Fix(commit, title))
    return tuple(found)
