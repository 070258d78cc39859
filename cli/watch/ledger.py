"""The watcher's memory: which crashes were found, how far each has come. One SQLite file, written before each step.

A step is written down as done only after it is done, so that a watcher killed anywhere goes on where it stopped:
what was finished is never done again, what was in the middle is done again from its start. Only that which leaves
the machine (journal, webhook) can therefore arrive twice; it carries the crash's id for the receiver to see that.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
from pathlib import Path
from types import TracebackType

from kbmatch.engine.errors import KbmatchError
from kbmatch.engine.values import dataclass

MAX_FAILURES = 3
"""A dump that ended its diagnosis that often (out of memory, too slow) is not tried again."""
MAX_ATTEMPTS = 20
"""Nor is one whose diagnosis was begun that often: it may be what ends the watcher each time."""
MAX_DELIVERIES = 12

_SCHEMA = """
CREATE TABLE IF NOT EXISTS crash (
  id TEXT PRIMARY KEY,
  unit TEXT NOT NULL,
  input TEXT NOT NULL,
  found REAL NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  failures INTEGER NOT NULL DEFAULT 0,
  state TEXT NOT NULL DEFAULT 'found',
  result TEXT,
  journal INTEGER NOT NULL DEFAULT 0,
  webhook INTEGER NOT NULL DEFAULT 0,
  deliveries INTEGER NOT NULL DEFAULT 0,
  not_before REAL NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS by_unit ON crash (unit);
"""
_COLUMNS = "id, unit, input, attempts, failures, state, result, journal, webhook, deliveries, not_before"


class WatchError(KbmatchError):
    """The watcher cannot run; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One crash: `state` is found, diagnosed or failed; `journal` and `webhook` say what was delivered."""

    id: str
    unit: str
    input: str
    attempts: int
    failures: int
    state: str
    result: str | None
    journal: bool
    webhook: bool
    deliveries: int
    not_before: float


class Ledger:
    """The open file, locked: there is one watcher for a ledger at a time. A context manager."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = os.open(f"{path}.lock", os.O_CREAT | os.O_RDWR, 0o600)
        except OSError as error:
            raise WatchError(f"{path}: {error.strerror}; name another place with --state") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(self._lock, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(self._lock)
            raise WatchError(f"{path}: another kbmatch watch (process {holder}) works with this ledger") from error
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, f"{os.getpid()}\n".encode(), 0)
        try:
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            self._db = sqlite3.connect(path, timeout=30, isolation_level=None)
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.executescript(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            os.close(self._lock)
            raise WatchError(f"{path}: {error}; remove it, or name another with --state") from error

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._db.close()
        os.close(self._lock)

    def find(self, crash_id: str, unit: str, name: str) -> Entry:
        """The entry of a crash, made now if it is new."""
        self._db.execute(
            "INSERT OR IGNORE INTO crash (id, unit, input, found) VALUES (?, ?, ?, ?)",
            (crash_id, unit, name, time.time()),
        )
        return self.get(crash_id)

    def get(self, crash_id: str) -> Entry:
        """The entry of a crash that is there."""
        row = self._db.execute(
            f"SELECT {_COLUMNS} FROM crash WHERE id = ?",  # noqa: S608  # a constant
            (crash_id,),
        ).fetchone()
        return _entry(row)

    def knows(self, crash_id: str) -> bool:
        """Whether nothing is left to diagnose of this crash."""
        row = self._db.execute("SELECT 1 FROM crash WHERE id = ? AND state != 'found'", (crash_id,)).fetchone()
        return row is not None

    def unfinished(self) -> list[Entry]:
        """Crashes of which something is left to deliver, oldest first."""
        rows = self._db.execute(
            f"SELECT {_COLUMNS} FROM crash WHERE state != 'found' AND (journal = 0 OR webhook = 0) ORDER BY found"  # noqa: S608
        )
        return [_entry(row) for row in rows]

    def attempt(self, crash_id: str) -> None:
        """Count an attempt, before it is made."""
        self._db.execute("UPDATE crash SET attempts = attempts + 1 WHERE id = ?", (crash_id,))

    def failure(self, crash_id: str) -> None:
        """Count an attempt that ended without a diagnosis, the watcher being there to see it."""
        self._db.execute("UPDATE crash SET failures = failures + 1 WHERE id = ?", (crash_id,))

    def settle(self, crash_id: str, state: str, result: str) -> None:
        """Write down a diagnosis, or that there will be none."""
        self._db.execute("UPDATE crash SET state = ?, result = ? WHERE id = ?", (state, result, crash_id))

    def delivered(self, crash_id: str, journal: bool = False, webhook: bool = False) -> None:
        """Write down what was delivered."""
        self._db.execute(
            "UPDATE crash SET journal = journal OR ?, webhook = webhook OR ? WHERE id = ?",
            (journal, webhook, crash_id),
        )

    def postpone(self, crash_id: str, until: float) -> None:
        """Count a delivery that failed; the next one is not before `until` (seconds since the epoch)."""
        self._db.execute("UPDATE crash SET deliveries = deliveries + 1, not_before = ? WHERE id = ?", (until, crash_id))


def _entry(row: tuple[str, str, str, int, int, str, str | None, int, int, int, float]) -> Entry:
    key, unit, name, attempts, failures, state, result, journal, webhook, deliveries, not_before = row
    return Entry(
        key, unit, name, attempts, failures, state, result, bool(journal), bool(webhook), deliveries, not_before
    )
