"""kbmatch kb verify: is a compiled file whole, is it what its rule files say, and does its index find every rule?"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from kbmatch.engine.document import Problems
from kbmatch.engine.errors import KnowledgeError
from kbmatch.engine.rule import ACTIVE_STATUSES, STATUSES, Rule
from kbmatch.engine.rule_loader import load_rule
from kbmatch.engine.values import dataclass
from kbmatch.kb.authoring.naive_match import crash_like, lookup_of, true_ones
from kbmatch.kb.store.carried import open_carried
from kbmatch.kb.store.documents import document_from_json
from kbmatch.kb.store.files import SHIPPED, find_files, together
from kbmatch.kb.store.knowledge import KnowledgeBase
from kbmatch.kb.store.layer import Layer, heads_of, layouts_of, written_probes
from kbmatch.kb.store.tables import content_digest

OK, STALE, WRONG, SKIPPED = "ok", "stale", "wrong", "skipped"
_JUDGED = 250_000
"""Judgements of rules on crashes that the comparison with the index may take: some five seconds."""
_CRASHES = 50
_NAMED = 5
"""Rules, rows or errors of one sort that are named; the others are counted."""

Progress = Callable[[int, int], None]
Database = sqlite3.Connection


@dataclass(frozen=True, slots=True)
class Check:
    """What one check found: OK, STALE (works, but the rule files have changed), WRONG, or SKIPPED; and what to do."""

    level: str
    text: str
    remedy: str | None = None


def verify(
    path: Path, knowledge: KnowledgeBase, progress: Progress, before: Sequence[Layer] | None = None
) -> Iterator[Check]:
    """The checks of one compiled file, one after the other. `knowledge` brings the tables that its rules refer to.

    `before` are the folders that it was checked against when it was compiled (default: the shipped one). Raises
    KnowledgeError where it is no compiled knowledge at all, or of another format.
    """
    layer = open_carried(path, frozenset(STATUSES))
    with contextlib.closing(layer.connection) as database:
        remedy = _remedy(layer)
        whole = _whole(layer, database, remedy)
        yield whole
        if whole.level == WRONG:
            return
        try:
            yield _sources(layer, database, knowledge, before, remedy)
            rules, check = _documents(layer, knowledge, progress, remedy)
            yield check
            yield _index(layer, remedy)
            yield _agreement(layer, rules, knowledge, progress)
        except KnowledgeError as error:
            yield Check(WRONG, str(error.diagnostics[0]), remedy)


def folders_of(layer: Layer) -> list[Path]:
    """The folders that the file says it was made of. Raises KnowledgeError if that cannot be read."""
    try:
        found = json.loads(layer.meta("folders"))
        return [SHIPPED if name == "" else Path(name) for name in found if isinstance(name, str)]
    except (ValueError, TypeError) as error:
        raise layer.damaged("what it was made of cannot be read") from error


def _remedy(layer: Layer) -> str:
    try:
        named = " ".join(str(folder) for folder in folders_of(layer) if folder != SHIPPED)
    except KnowledgeError:
        named = "FOLDER"
    in_cache = layer.file is not None and layer.file.name.startswith(("shipped-v", "folder-v"))
    made = f"kbmatch kb build {named}".rstrip() + ("" if in_cache else f" -o {layer.file}")
    return f"build it again: {made}"


def _whole(layer: Layer, database: Database, remedy: str) -> Check:
    try:
        wrong = [row[0] for row in database.execute(f"PRAGMA integrity_check({_NAMED})") if row[0] != "ok"]
        if wrong:
            first = str(wrong[0]).replace("\n", " ")
            return Check(WRONG, f"SQLite's integrity check: {first}", remedy)
        noted, found = layer.meta("content"), content_digest(database)
    except (sqlite3.Error, UnicodeDecodeError, KnowledgeError) as error:
        return Check(WRONG, f"cannot be read to its end: {str(error).splitlines()[0]}", remedy)
    if noted != found:
        return Check(WRONG, f"its content is not what was written: digest {found}, noted is {noted[:16]}", remedy)
    counts = dict(database.execute("SELECT status, count(*) FROM rule GROUP BY status"))
    noted_counts = {status: count for status in STATUSES if (count := layer.meta(f"rules {status}"))}
    if noted_counts != {status: str(count) for status, count in counts.items()}:
        return Check(WRONG, "it does not hold the rules that it says it holds", remedy)
    size = layer.file.stat().st_size if layer.file else 0
    total = sum(counts.values())
    return Check(OK, f"whole: {total} rules in {size / 1e6:.1f} MB, content digest {found}, SQLite finds no damage")


def _sources(
    layer: Layer, database: Database, knowledge: KnowledgeBase, before: Sequence[Layer] | None, remedy: str
) -> Check:
    """Compile the folders again, into memory, and compare."""
    folders = folders_of(layer)
    shown = ", ".join(map(str, folders)) or "nothing"
    if not folders or not all(folder.is_dir() for folder in folders):
        return Check(SKIPPED, f"not compared with its rule files: {shown} is not on this machine")
    with contextlib.closing(sqlite3.connect(":memory:")) as fresh:
        try:
            knowledge.compile_together(together([find_files(folder) for folder in folders]), fresh, before)
        except KnowledgeError as error:
            first, more = error.diagnostics[0], len(error.diagnostics) - 1
            tail = f", and {more} more" if more else ""
            return Check(STALE, f"the rule files cannot be compiled now: {first}{tail}", f"mend them, then {remedy}")
        what = _difference(database, fresh)
    if what is None:
        return Check(OK, f"up to date with {shown}")
    return Check(STALE, f"not what {shown} holds now: {what}", remedy)


def _difference(then: Database, now: Database) -> str | None:
    """What changed from one compiled file to another, None if nothing did."""
    old, new = (
        {str(row[0]): row[1:] for row in database.execute("SELECT id, status, document FROM rule")}
        for database in (then, now)
    )
    changed = {name for name in old.keys() & new.keys() if old[name] != new[name]}
    counted = ((new.keys() - old.keys(), "added"), (old.keys() - new.keys(), "removed"), (changed, "changed"))
    parts = [
        f"{len(names)} rule{'s' if len(names) > 1 else ''} {word}{_names(names)}" for names, word in counted if names
    ]
    if parts:
        return "; ".join(parts)
    for query, what in (
        ("SELECT name, json FROM document", "a probe, a layout or a table changed"),
        ("SELECT fact, entry.value, id FROM entry, rule ON number = rule", "another kbmatch made its index"),
        ("SELECT function, id, bound FROM resembling, rule ON number = rule", "another kbmatch made its index"),
        ("SELECT probe, id FROM probed, rule ON number = rule", "another kbmatch made its index"),
    ):
        if set(then.execute(query)) != set(now.execute(query)):
            return what
    return None


def _names(names: set[str]) -> str:
    shown = ", ".join(sorted(names)[:_NAMED])
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f" ({shown}{more})" if names else ""


def _documents(
    layer: Layer, knowledge: KnowledgeBase, progress: Progress, remedy: str
) -> tuple[list[tuple[int, Rule]], Check]:
    """Load every rule, probe and layout with all checks; the rules that take part in a diagnosis."""
    problems = Problems()
    found: list[tuple[int, Rule]] = []
    probes = written_probes(layer)
    fields = {**knowledge.probe_fields, **layer.probe_fields()}
    mismatch: list[str] = []
    rows = layer.rows("SELECT number, id, status, file, document FROM rule ORDER BY number")
    for done, (number, rule_id, status, file, text) in enumerate(rows):
        if done % 100 == 0:
            progress(done, len(rows))
        try:
            rule = load_rule(document_from_json(str(text), str(file)), problems, knowledge.products, fields)
        except ValueError:
            mismatch.append(f"{rule_id} is no JSON")
            continue
        if rule is not None and (rule.id, rule.status) != (rule_id, status):
            mismatch.append(f"{rule_id} ({status}) holds {rule.id} ({rule.status})")
        elif rule is not None and rule.status in ACTIVE_STATUSES:
            found.append((number, rule))
    layouts = list(layouts_of(layer))
    trusted = Layer(layer.connection, frozenset(STATUSES), layer.file)  # the frozen values, as a cache is read
    try:
        frozen = {head.id for head in heads_of(trusted)}
    except (LookupError, TypeError, ValueError) as error:
        frozen = set()
        mismatch.append(f"the probes' heads cannot be read: {error}")
    if frozen != probes.keys():
        mismatch.append("the probes' heads are not those of its probes")
    mismatch += map(str, problems.diagnostics)
    if mismatch:
        tail = f" (and {len(mismatch) - 1} more)" if len(mismatch) > 1 else ""
        return found, Check(WRONG, f"a document does not load: {mismatch[0]}{tail}", remedy)
    return found, Check(OK, f"every document loads: {len(rows)} rules, {len(probes)} probes, {len(layouts)} layouts")


def _index(layer: Layer, remedy: str) -> Check:
    """Every row leads to a rule, and every rule can be found by one."""
    for table in ("entry", "resembling", "probed", "trait"):
        query = f"SELECT DISTINCT rule FROM {table} WHERE rule NOT IN (SELECT number FROM rule) LIMIT {_NAMED}"  # noqa: S608
        lost = layer.rows(query)
        if lost:
            return Check(WRONG, f"the index ({table}) leads to rule number {lost[0][0]}, which there is not", remedy)
    query = (
        "SELECT id FROM rule WHERE number NOT IN (SELECT rule FROM entry UNION SELECT rule FROM resembling"
        " UNION SELECT rule FROM probed)"
    )
    hidden = {str(row[0]) for row in layer.rows(query)}
    if hidden:
        return Check(WRONG, f"{len(hidden)} rules cannot be found by anything{_names(hidden)}", remedy)
    total = layer.rows("SELECT (SELECT count(*) FROM entry) + (SELECT count(*) FROM resembling)")[0][0]
    return Check(OK, f"index: each of {total} entries leads to a rule, and each rule has one")


def _agreement(layer: Layer, rules: Sequence[tuple[int, Rule]], knowledge: KnowledgeBase, progress: Progress) -> Check:
    """Crashes made of some of the rules: what trying every rule finds, the index must lead to."""
    count = max(5, min(_CRASHES, _JUDGED // max(1, len(rules))))
    sample = rules[:: max(1, len(rules) // count)][:count]
    every = [rule for _, rule in rules]
    number_of = {rule.id: number for number, rule in rules}
    matches = own = 0
    for done, (_, rule) in enumerate(sample):
        progress(done, len(sample))
        lookup, keys = lookup_of(crash_like(rule.signature), knowledge.helper_frames)
        by_index = layer.numbers(keys, ())
        true = true_ones(every, lookup)
        matches += len(true)
        own += rule in true
        missed = {other.id for other in true if number_of[other.id] not in by_index}
        if missed and len(by_index) < 200:  # of scored leaves the best 200 are tried
            what = f"a crash made of {rule.id} fits rules that the index does not lead to{_names(missed)}"
            return Check(WRONG, what, _remedy(layer))
    what = f"{len(sample)} crashes made of its rules ({own} fit their own rule, {matches} matches in all)"
    return Check(OK, f"the index agrees with trying every rule on {what}")
