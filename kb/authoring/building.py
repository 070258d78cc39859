"""kbmatch kb build: compile folders of knowledge, into the user's cache or into one file that can be carried away."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from kbmatch.engine.errors import KbmatchError
from kbmatch.engine.values import dataclass
from kbmatch.kb.store.cache import cache_folder, connect_read_only, write_compiled
from kbmatch.kb.store.carried import not_compiled, open_carried
from kbmatch.kb.store.files import SHIPPED, find_files, together
from kbmatch.kb.store.knowledge import Bar, KnowledgeBase
from kbmatch.kb.store.tables import PROBE_TEXT


@dataclass(frozen=True, slots=True)
class Built:
    """A compiled file: what it was made of, rules by status, numbers of probes, layouts and index entries, bytes."""

    folders: tuple[str, ...]
    file: Path
    rules: Mapping[str, int]
    probes: int
    layouts: int
    entries: int
    size: int

    @classmethod
    def of(cls, file: Path) -> Built:
        """What a file that was just compiled holds."""
        with contextlib.closing(connect_read_only(file)) as database:

            def number(query: str) -> int:
                return int(database.execute(query).fetchone()[0])

            folders = json.loads(database.execute("SELECT value FROM meta WHERE name = 'folders'").fetchone()[0])
            rules = dict(database.execute("SELECT status, count(*) FROM rule GROUP BY status ORDER BY 2 DESC"))
            names = "SELECT count(*) FROM document WHERE name GLOB"
            return cls(
                tuple(folder or str(SHIPPED) for folder in folders),
                file,
                rules,
                number(f"{names} '{PROBE_TEXT} *'"),
                number(f"{names} 'layout *'"),
                number("SELECT (SELECT count(*) FROM entry) + (SELECT count(*) FROM resembling)"),
                file.stat().st_size,
            )


def build_cache(knowledge: KnowledgeBase) -> list[Built]:
    """Compile the shipped folder (unless it came compiled) and the further ones anew, into the cache.

    `knowledge` is one that compiles anew. Compiled files among the folders stay as they are. Raises KnowledgeError with
    everything that is wrong in a folder, KbmatchError where the cache cannot be written.
    """
    files: list[Path] = []
    for layer in knowledge.layers:
        if layer.file is None:
            raise KbmatchError(
                f"{cache_folder()}: cannot be written, so that every run compiles anew; set XDG_CACHE_HOME to a folder"
                " that can, or carry a file: kbmatch kb build -o FILE"
            )
        files.append(layer.file)
    return [Built.of(file) for file in files]


def build_file(folders: Sequence[Path], target: Path, compiling: Bar) -> Built:
    """Compile the folders into one file; the shipped folder alone where none is named.

    The file appears whole or not at all. Another file of that name is replaced only if it is compiled knowledge, too.
    Raises KnowledgeError with everything that is wrong in the folders, KbmatchError where the file cannot be written.
    """
    if target.is_file():
        try:
            open_carried(target, frozenset())
        except KbmatchError as error:
            if b"SQLite format 3" not in target.read_bytes()[:16] and target.stat().st_size:
                message = "is there already and is no compiled knowledge; remove it or name another file"
                raise not_compiled(target, message) from error
    files = together([find_files(folder.absolute()) for folder in folders or (SHIPPED,)])
    knowledge = KnowledgeBase(compiling=compiling)

    def compile_into(database: sqlite3.Connection) -> None:
        knowledge.compile_together(files, database)
        database.execute("VACUUM")

    try:
        handle, building = tempfile.mkstemp(prefix=f".{target.name}-", dir=target.absolute().parent)
        os.close(handle)
        try:
            write_compiled(building, compile_into)
            mask = os.umask(0)
            os.umask(mask)
            os.chmod(building, 0o666 & ~mask)
            os.replace(building, target)
        finally:
            with contextlib.suppress(OSError):
                os.unlink(building)
    except (OSError, sqlite3.OperationalError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise KbmatchError(f"{target}: cannot be written: {why}; name a file in a folder that can") from error
    return Built.of(target)
