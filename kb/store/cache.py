"""Where compiled knowledge lies: beside the shipped YAML if it was built into the wheel, else in the user's cache.

Several processes may compile at once: each writes a file of its own and renames it into place. Where no cache can be
written (a read-only home), the knowledge is compiled into memory.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from kbmatch.kb.store.files import FORMAT, SHIPPED

BUILT = SHIPPED / "compiled.sqlite"
"""The shipped knowledge, compiled when the wheel was built; trusted without a look at the YAML beside it."""

KEPT = 20
"""Compiled files of each name that the cache keeps; older ones are removed when another is written."""


def cache_folder() -> Path:
    """$XDG_CACHE_HOME/kbmatch or ~/.cache/kbmatch."""
    root = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(root) / "kbmatch"


def compiled_path(name: str, key: str) -> Path:
    """Where the knowledge known by `key` lies once it is compiled."""
    return cache_folder() / f"{name}-v{FORMAT}-{key}.sqlite"


def open_compiled(
    name: str, key: str, compile_into: Callable[[sqlite3.Connection], None], *, anew: bool = False
) -> tuple[sqlite3.Connection, Path | None]:
    """The knowledge known by `key`, and its file; compiled now if it is not in the cache, or `anew`.

    Without a file where no cache can be written. Files of another `name` do not drive it out of the cache. Raises what
    `compile_into` raises.
    """
    path = compiled_path(name, key)
    if not anew:
        with contextlib.suppress(sqlite3.Error):
            return open_read_only(path), path
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        import tempfile  # 4 ms, only where something is compiled

        handle, building = tempfile.mkstemp(prefix=".building-", suffix=".sqlite", dir=path.parent)
    except OSError:
        return _in_memory(compile_into), None
    os.close(handle)
    try:
        write_compiled(building, compile_into)
        os.replace(building, path)
    except (sqlite3.OperationalError, OSError):  # the disk is full
        return _in_memory(compile_into), None
    finally:
        with contextlib.suppress(OSError):
            os.unlink(building)
    _tidy(path.parent, name)
    return open_read_only(path), path


def write_compiled(building: str, compile_into: Callable[[sqlite3.Connection], None]) -> None:
    """Compile into the empty file `building`, which is renamed afterwards: nobody sees it half written."""
    with contextlib.closing(sqlite3.connect(building)) as target:
        target.execute("PRAGMA journal_mode = OFF")
        target.execute("PRAGMA synchronous = OFF")
        compile_into(target)


def connect_read_only(path: Path) -> sqlite3.Connection:
    """A connection that never writes and never locks; a file that is there is opened whatever it holds."""
    return sqlite3.connect(f"file:{quote(str(path))}?mode=ro&immutable=1", uri=True)


def open_read_only(path: Path) -> sqlite3.Connection:
    """A compiled file, never written and never locked. Raises sqlite3.Error if it is none of this format."""
    connection = connect_read_only(path)
    try:
        row = connection.execute("SELECT value FROM meta WHERE name = 'format'").fetchone()
    except (sqlite3.Error, UnicodeDecodeError) as error:
        connection.close()
        raise sqlite3.DatabaseError(f"{path}: {error}") from error
    if row is None or row[0] != str(FORMAT):
        connection.close()
        raise sqlite3.DatabaseError(f"{path} is of another format")
    return connection


def _in_memory(compile_into: Callable[[sqlite3.Connection], None]) -> sqlite3.Connection:
    target = sqlite3.connect(":memory:")
    compile_into(target)
    return target


def _tidy(folder: Path, name: str) -> None:
    """Remove the oldest files beyond those kept; another process may be faster, or still read one (it may)."""
    with contextlib.suppress(OSError):
        found = sorted(folder.glob(f"{name}-v*.sqlite"), key=lambda path: path.stat().st_mtime, reverse=True)
        for path in found[KEPT:]:
            path.unlink(missing_ok=True)
        for path in folder.glob(".building-*"):  # left by a process that was killed
            if path.stat().st_mtime < time.time() - 86400:
                path.unlink(missing_ok=True)
