"""Compiled files from elsewhere: opened only if they are what `kbmatch kb build -o` writes.

Nothing in such a file is trusted. Its tables must be exactly ours (no view, trigger or virtual table of somebody
else's), rules are loaded with all checks as from YAML, probes and layouts from their written form, C parsed anew.
Product and helper tables always come from the installed kbmatch.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from kbmatch.engine.errors import Diagnostic, KnowledgeError
from kbmatch.kb.store.cache import connect_read_only
from kbmatch.kb.store.files import FORMAT
from kbmatch.kb.store.layer import REBUILD_CARRIED, Layer

MAX_DOCUMENT = 32 << 20
"""Bytes of one value in a file from elsewhere."""

_MAGIC = b"SQLite format 3\0"
_HEADER = 100


def open_carried(path: Path, statuses: frozenset[str]) -> Layer:
    """The compiled file as a layer. Raises KnowledgeError where it is none, of another format, or cut."""
    _check_size(path)
    connection = connect_read_only(path)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_DOCUMENT)
    try:
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA cell_size_check = ON")
        found = _schema(connection)
        # before the schema: an older format has other tables
        number = str(connection.execute("SELECT value FROM meta WHERE name = 'format'").fetchone()[0])
    except (sqlite3.Error, TypeError, UnicodeDecodeError) as error:
        connection.close()
        why = f"its tables are not those of compiled knowledge ({error})"
        raise not_compiled(path, f"{why}; {REBUILD_CARRIED}") from error
    if number != str(FORMAT):
        connection.close()
        shown = number if number.isdigit() else "unknown"
        message = f"compiled knowledge of format {shown}, this kbmatch reads format {FORMAT}; {REBUILD_CARRIED}"
        raise not_compiled(path, message)
    if found != _own_schema():
        connection.close()
        raise not_compiled(path, f"its tables are not those of compiled knowledge; {REBUILD_CARRIED}")
    return Layer(connection, statuses, path, carried=True)


def not_compiled(path: Path, message: str) -> KnowledgeError:
    """The error for a file that cannot be used as compiled knowledge."""
    return KnowledgeError([Diagnostic(str(path), 1, 1, "not-compiled", message)])


def _check_size(path: Path) -> None:
    """Refuse what is no SQLite file, and one that ends before the number of pages that its header names.

    Source: sqlite.org/fileformat2.html, "The Database Header": page size at 16 (1 means 65536), pages at 28.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEADER)
        size = path.stat().st_size
    except OSError as error:
        raise KnowledgeError(
            [Diagnostic(str(path), 1, 1, "unreadable", f"{error.strerror or error}; name a readable file")]
        ) from error
    if len(head) < _HEADER or not head.startswith(_MAGIC):
        message = "neither a folder of rules nor a file that kbmatch kb build -o wrote; name one of the two"
        raise not_compiled(path, message)
    page = int.from_bytes(head[16:18], "big")
    pages = int.from_bytes(head[28:32], "big")
    whole = (65536 if page == 1 else page) * pages
    if size < whole:
        raise not_compiled(path, f"cut off: {size} bytes of {whole}; copy it again")


def _schema(connection: sqlite3.Connection) -> set[tuple[str, str, str | None]]:
    return set(connection.execute("SELECT type, name, sql FROM sqlite_master LIMIT 100"))


def _own_schema() -> set[tuple[str, str, str | None]]:
    from kbmatch.kb.store.tables import SCHEMA

    connection = sqlite3.connect(":memory:")
    try:
        connection.executescript(SCHEMA)
        return _schema(connection)
    finally:
        connection.close()
