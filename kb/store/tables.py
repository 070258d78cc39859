"""The tables of a compiled file, and a digest over all that they hold.

meta       format, kbmatch version, kind, folders, digest of all files, day of the newest rule, number of rules and
           of curated ones of each status, content
rule       number, id, status, file, document
entry      (fact, value) -> rule number; what candidates are looked up by
resembling function -> rule number, and the most that it can add to the score of the rule's scored leaf
trait      trait of a mined rule -> rule number, weight (kb/store/traits.py)
source     number -> source file of the kernel
home       function -> numbers of the source files that define it, blanks between
probed     probe id -> rule number
document   name -> JSON: the product table, the helper frames, each probe and layout, the probes' heads; probes and
           layouts also as they were written, which is what a file from elsewhere is read by (kb/store/carried.py)

All that is looked up in a diagnosis is part of a primary key, so that no query reads a whole table.
"""

from __future__ import annotations

import sqlite3

SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE rule (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, status TEXT NOT NULL, file TEXT NOT NULL,
                   document TEXT NOT NULL);
CREATE TABLE entry (fact TEXT NOT NULL, value TEXT NOT NULL, rule INTEGER NOT NULL,
                    PRIMARY KEY (fact, value, rule)) WITHOUT ROWID;
CREATE TABLE resembling (function TEXT NOT NULL, rule INTEGER NOT NULL, bound REAL NOT NULL,
                         PRIMARY KEY (function, rule)) WITHOUT ROWID;
CREATE TABLE trait (name TEXT NOT NULL, rule INTEGER NOT NULL, weight REAL NOT NULL,
                    PRIMARY KEY (name, rule)) WITHOUT ROWID;
CREATE TABLE source (number INTEGER PRIMARY KEY, path TEXT NOT NULL);
CREATE TABLE home (function TEXT PRIMARY KEY, files TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE probed (probe TEXT NOT NULL, rule INTEGER NOT NULL, PRIMARY KEY (probe, rule)) WITHOUT ROWID;
CREATE TABLE document (name TEXT PRIMARY KEY, json TEXT NOT NULL) WITHOUT ROWID;
"""

TABLES = {
    "meta": "name", "rule": "number", "entry": "fact, value, rule", "resembling": "function, rule",
    "trait": "name, rule", "source": "number", "home": "function", "probed": "probe, rule", "document": "name",
}  # fmt: skip
"""The tables and what their rows are ordered by."""

PROBE_TEXT, LAYOUT_TEXT = "written-probe", "written-layout"
"""Documents: a probe and a layout as their file has them; "probe" and "layout" are the frozen values."""

WHOLE, FOLDERS = "whole", "folders"
"""Kinds of compiled files: the shipped folder, perhaps with others, or others alone, which join the shipped one."""


def content_digest(database: sqlite3.Connection) -> str:
    """SHA-256, 16 hex digits, over all rows of all tables but the row that holds this very digest.

    SQLite's own check does not see a letter that changed on a disk.
    """
    import hashlib

    digest = hashlib.sha256()
    for table, key in TABLES.items():
        digest.update(table.encode())
        for row in database.execute(f"SELECT * FROM {table} ORDER BY {key}"):  # noqa: S608 - names of our own
            if table != "meta" or row[0] != "content":
                digest.update(repr(row).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()[:16]
