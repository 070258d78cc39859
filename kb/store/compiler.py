"""Compiles a folder of knowledge into one SQLite file: facts -> rules, documents as JSON (kb/store/tables.py).

Everything is checked while it is compiled; what is wrong is reported together and nothing is written.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path

from kbmatch.engine.condition import index_entries, similar_entries
from kbmatch.engine.document import Node, Problems
from kbmatch.engine.errors import Diagnostic, KnowledgeError
from kbmatch.engine.facts import SELECTIVE
from kbmatch.engine.probe import Probe, ProbeHead
from kbmatch.engine.products import Products
from kbmatch.engine.rule import Rule
from kbmatch.engine.rule_loader import load_rule
from kbmatch.engine.version import VERSION
from kbmatch.kb.store.advisories import extended, read_advisories
from kbmatch.kb.store.documents import document_to_json
from kbmatch.kb.store.files import FORMAT, SHIPPED, KnowledgeFiles
from kbmatch.kb.store.frames import BY_INITIAL, load_helper_frames
from kbmatch.kb.store.frozen_probes import to_plain
from kbmatch.kb.store.homes import read_homes
from kbmatch.kb.store.initials import split_by_initial
from kbmatch.kb.store.layouts import load_layout
from kbmatch.kb.store.mined import MinedRule, expanded, read_mined
from kbmatch.kb.store.probes import load_probe
from kbmatch.kb.store.products import table_of
from kbmatch.kb.store.tables import FOLDERS, LAYOUT_TEXT, PROBE_TEXT, SCHEMA, WHOLE, content_digest
from kbmatch.kb.store.traits import weighted
from kbmatch.kb.store.yaml_reader import read_yaml

_SELECTIVE = frozenset(fact.name for fact in SELECTIVE)


def compile_knowledge(
    files: KnowledgeFiles,
    target: sqlite3.Connection,
    products: Products | None = None,
    probes: Iterable[Probe] = (),
    taken: Callable[[str], str | None] = lambda rule_id: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Compile the files into the open, empty database. `products` and `probes` are those of the shipped folder.

    `taken` says which file of another folder holds a rule id already; the shipped folder brings its own tables.
    `progress` is told how many rules were read (and 0, since how many there are is not known before).

    Raises KnowledgeError with everything that is wrong in any file.
    """
    problems = Problems()
    digest = hashlib.sha256()
    target.executescript(SCHEMA)
    own = list(_read_probes(files, problems, digest, target))
    _read_layouts(files, problems, digest, target)
    homes = _read_homes(files, digest)
    if files.folder == SHIPPED:
        products = _read_tables(digest, target, homes)
    assert products is not None
    fields = {probe.id: {field.name: field.type for field in probe.record} for probe in (*probes, *own)}
    own_fields = json.dumps({probe.id: fields[probe.id] for probe in own})
    heads = json.dumps([to_plain(ProbeHead.of(probe)) for probe in own])
    modules = json.dumps(sorted({probe.module for probe in own if probe.register_records}))
    documents = (("probe-fields", own_fields), ("probe-heads", heads), ("register-modules", modules))
    target.executemany("INSERT INTO document VALUES (?, ?)", documents)
    counts: Counter[str] = Counter()
    newest = ""
    seen: dict[str, str] = {}
    numbers: dict[str, int] = {}
    quoted: list[MinedRule] = []
    advisories = read_advisories(files.advisories, problems, digest)
    curated = ((str(path), node) for path, node in _documents(files.rules, problems, digest))
    mined = _mined(files.mined, problems, digest, quoted, homes)
    for number, (path, bare) in enumerate(chain(curated, mined)):
        progress(number, 0)
        node = extended(bare, advisories, products)
        rule = load_rule(node, problems, products, fields)
        if rule is None:
            continue
        other = seen.get(rule.id) or taken(rule.id)
        if other is not None:
            message = f"rule {rule.id} stands already in {other}"
            problems.diagnostics.append(Diagnostic(path, 1, 1, "duplicate-id", message))
            continue
        seen[rule.id] = path
        counts[f"rules {rule.status}"] += 1
        if "#" not in path:  # one of many in a file: mined
            counts[f"curated {rule.status}"] += 1
        newest = max(newest, rule.created)
        numbers[rule.id] = number
        _insert(target, number, rule, path, node)
    if problems.diagnostics:
        raise KnowledgeError(problems.diagnostics)
    _insert_traits(target, quoted, numbers)
    meta = {"format": str(FORMAT), "version": VERSION, "digest": digest.hexdigest()[:16]}
    meta |= {"kind": WHOLE if files.folder == SHIPPED else FOLDERS, "folders": json.dumps(_named(files))}
    meta |= {"newest": newest} | {name: str(count) for name, count in counts.items()}
    target.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
    target.execute("INSERT INTO meta VALUES ('content', ?)", (content_digest(target),))
    target.commit()


def _named(files: KnowledgeFiles) -> list[str]:
    """The folders as the file names them: the shipped one lies elsewhere on each machine."""
    return ["" if folder == SHIPPED else str(folder.absolute()) for folder in (files.folder, *files.more)]


def _read_homes(files: KnowledgeFiles, digest: hashlib._Hash) -> dict[str, tuple[str, ...]]:
    """Function -> files that define it; read where mined rules are compiled or the tables are."""
    if not files.mined and files.folder != SHIPPED:
        return {}
    paths = sorted((SHIPPED / "functions").glob("*.txt"))
    for path in paths:
        digest.update(path.read_bytes())
    return read_homes(paths)


def _read_tables(digest: hashlib._Hash, target: sqlite3.Connection, homes: Mapping[str, tuple[str, ...]]) -> Products:
    """The shipped tables as documents; the product table is needed to check rules."""
    products = read_yaml(SHIPPED / "products.yaml")
    frames = json.loads(document_to_json(read_yaml(SHIPPED / "frames.yaml")))
    frames[BY_INITIAL] = split_by_initial(frames.get("common", ()))
    for name, text in (("products", document_to_json(products)), ("frames", json.dumps(frames))):
        target.execute("INSERT INTO document VALUES (?, ?)", (name, text))
        digest.update((SHIPPED / f"{name}.yaml").read_bytes())
    numbers = {file: number for number, file in enumerate(sorted({file for files in homes.values() for file in files}))}
    target.executemany("INSERT INTO source VALUES (?, ?)", [(number, file) for file, number in numbers.items()])
    rows = ((name, " ".join(str(numbers[file]) for file in files)) for name, files in homes.items())
    target.executemany("INSERT INTO home VALUES (?, ?)", rows)
    return table_of(products)


def _mined(
    paths: tuple[Path, ...],
    problems: Problems,
    digest: hashlib._Hash,
    quoted: list[MinedRule],
    homes: Mapping[str, tuple[str, ...]],
) -> Iterator[tuple[str, Node]]:
    for path in paths:
        digest.update(path.name.encode("utf-8", "surrogateescape") + b"\0" + path.read_bytes())
    try:
        quoted += read_mined(paths, problems)
        yield from expanded(quoted, homes)
    except KnowledgeError as error:
        problems.diagnostics.extend(error.diagnostics)


def _read_probes(
    files: KnowledgeFiles, problems: Problems, digest: hashlib._Hash, target: sqlite3.Connection
) -> Iterator[Probe]:
    for _, node in _documents(files.probes, problems, digest):
        probe = load_probe(node, problems)
        if probe is not None:
            plain, written = json.dumps(to_plain(probe)), document_to_json(node)
            rows = [(f"probe {probe.id}", plain), (f"{PROBE_TEXT} {probe.id}", written)]
            target.executemany("INSERT OR REPLACE INTO document VALUES (?, ?)", rows)
            yield probe


def _read_layouts(files: KnowledgeFiles, problems: Problems, digest: hashlib._Hash, target: sqlite3.Connection) -> None:
    for _, node in _documents(files.layouts, problems, digest):
        layout = load_layout(node, problems)
        if layout is not None:
            plain, written = json.dumps(to_plain(layout)), document_to_json(node)
            rows = [(f"layout {layout.id}", plain), (f"{LAYOUT_TEXT} {layout.id}", written)]
            target.executemany("INSERT OR REPLACE INTO document VALUES (?, ?)", rows)


def _documents(paths: tuple[Path, ...], problems: Problems, digest: hashlib._Hash) -> Iterator[tuple[Path, Node]]:
    for path in paths:
        try:
            node = read_yaml(path)
        except KnowledgeError as error:
            problems.diagnostics.extend(error.diagnostics)
            continue
        digest.update(path.name.encode("utf-8", "surrogateescape") + b"\0" + document_to_json(node).encode() + b"\0")
        yield path, node


def _insert_traits(target: sqlite3.Connection, mined: list[MinedRule], numbers: dict[str, int]) -> None:
    """The traits of mined rules."""
    if not mined:
        return
    for rule_id, traits in weighted([rule for rule in mined if rule.id in numbers], load_helper_frames()):
        rows = [(name, numbers[rule_id], weight) for name, weight in traits.items()]
        target.executemany("INSERT OR REPLACE INTO trait VALUES (?, ?, ?)", rows)


def _insert(target: sqlite3.Connection, number: int, rule: Rule, path: str, node: Node) -> None:
    row = (number, rule.id, rule.status, path, document_to_json(node))
    target.execute("INSERT INTO rule VALUES (?, ?, ?, ?, ?)", row)
    entries = index_entries(rule.signature, _SELECTIVE)
    target.executemany("INSERT INTO entry VALUES (?, ?, ?)", [(fact, value, number) for fact, value in entries])
    resembling = [(name, number, bound) for name, bound in similar_entries(rule.signature).items()]
    target.executemany("INSERT INTO resembling VALUES (?, ?, ?)", resembling)
    probed = {condition.probe for condition in rule.state}
    target.executemany("INSERT INTO probed VALUES (?, ?)", [(probe, number) for probe in probed])
