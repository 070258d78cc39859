"""The history's database: one row a crash, with all that a new diagnosis needs.

A crash is known by what it printed (place, time since boot, registers, host), not by its file: a vmcore, the
vmcore-dmesg.txt beside it and a copy of either are one crash. Writers wait for each other (SQLite's lock); a row is
there whole or not at all, also after a power cut.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from kbmatch.engine.contract import incident_to_json
from kbmatch.engine.errors import KbmatchError
from kbmatch.engine.finding import Diagnosis
from kbmatch.engine.fingerprint import DEPTHS, Fingerprint
from kbmatch.engine.incident import Incident
from kbmatch.engine.values import dataclass

FORMAT = 1
MAX_LOG = 4 << 20
"""Bytes of a log that are kept with its crash; of a longer one only the facts are."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS crash (
  id INTEGER PRIMARY KEY,
  crash_key TEXT NOT NULL UNIQUE,
  seen TEXT NOT NULL,
  recorded TEXT NOT NULL,
  source TEXT NOT NULL,
  host TEXT,
  release TEXT,
  product TEXT,
  words TEXT NOT NULL,
  fp_culprit TEXT NOT NULL,
  fp_frames TEXT NOT NULL,
  fp_exact TEXT NOT NULL,
  outcome TEXT NOT NULL,
  verdict TEXT,
  rule TEXT,
  title TEXT,
  fixed TEXT,
  kb_digest TEXT NOT NULL,
  signature BLOB NOT NULL,
  log BLOB
);
CREATE INDEX IF NOT EXISTS by_culprit ON crash (fp_culprit);
CREATE INDEX IF NOT EXISTS by_frames ON crash (fp_frames);
CREATE INDEX IF NOT EXISTS by_exact ON crash (fp_exact);
"""


class HistoryError(KbmatchError):
    """The database cannot be used; the text names the file and what to do."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What a diagnosis said, as the history keeps it."""

    outcome: str
    verdict: str | None = None
    rule: str | None = None
    title: str | None = None
    fixed: str | None = None

    @classmethod
    def of(cls, diagnosis: Diagnosis) -> Judged:
        """The best finding on the fatal event."""
        index = diagnosis.incident.fatal_index
        best = next((f for f in diagnosis.of_event(index) if f.verdict.shown), None) if index is not None else None
        if best is None:
            return cls(diagnosis.outcome)
        return cls(diagnosis.outcome, best.verdict.value, best.rule.id, best.rule.title, best.recommend.version)


@dataclass(frozen=True, slots=True)
class Bug:
    """All crashes of one fingerprint: how often, when (ISO 8601, UTC), where."""

    key: str
    words: str
    count: int
    first: str
    last: str
    hosts: tuple[str, ...]
    releases: tuple[str, ...]
    judged: Judged


@dataclass(frozen=True, slots=True)
class Stored:
    """One crash as it lies in the database."""

    id: int
    seen: str
    source: str
    host: str | None
    release: str | None
    key: str
    judged: Judged
    signature: bytes
    log: bytes | None


def default_path() -> Path:
    """$KBMATCH_HISTORY; /var/lib/kbmatch/history.sqlite for root; else below $XDG_STATE_HOME or ~/.local/state."""
    if named := os.environ.get("KBMATCH_HISTORY"):
        return Path(named)
    if os.geteuid() == 0:
        return Path("/var/lib/kbmatch/history.sqlite")
    return Path(os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")) / "kbmatch/history.sqlite"


def crash_key(incident: Incident, exact: str) -> str:
    """What makes a crash this crash: its exact fingerprint and its moment; without a time its registers, or its file.

    The host takes no part: a log may lack what the dump of the same crash names.
    """
    index = incident.fatal_index
    event = None if index is None else incident.events[index]
    parts = [exact]
    if event is not None:
        parts += [str(event.pid), str(event.cpu)]
        if event.time is not None:
            parts.append(str(event.time))
        elif event.registers:
            parts += [f"{name}={value}" for name, value in sorted(event.registers.items()) if value is not None]
        else:
            parts.append(incident.source.path)
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]


class History:
    """An open database. A context manager."""

    def __init__(self, path: Path, *, create: bool = True) -> None:
        self.path = path
        try:
            if create:
                path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
                self._db = sqlite3.connect(path, timeout=30)
                self._db.executescript(_SCHEMA)
                self._db.execute("INSERT OR IGNORE INTO meta VALUES ('format', ?)", (str(FORMAT),))
                self._db.commit()
            else:
                self._db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)
            row = self._db.execute("SELECT value FROM meta WHERE name = 'format'").fetchone()
        except (OSError, sqlite3.Error) as error:
            raise HistoryError(f"{path}: {error}; name another with --history or KBMATCH_HISTORY") from error
        if row is None or row[0] != str(FORMAT):
            self._db.close()
            raise HistoryError(f"{path}: written by another version of kbmatch (format {row and row[0]}, not {FORMAT})")

    def __enter__(self) -> History:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def add(
        self,
        diagnosis: Diagnosis,
        keys: Fingerprint,
        *,
        digest: str,
        seen: str,
        now: str,
        host: str | None = None,
        log: bytes | None = None,
    ) -> bool:
        """Record a crash; False if it is there already (its diagnosis is then brought up to date)."""
        incident, judged = diagnosis.incident, Judged.of(diagnosis)
        packed = zlib.compress(json.dumps(incident_to_json(incident)).encode(), 6)
        kept = zlib.compress(log, 6) if log is not None and len(log) <= MAX_LOG else None
        key = crash_key(incident, keys.exact)
        with self._guard(), self._db:
            known = self._db.execute("SELECT id FROM crash WHERE crash_key = ?", (key,)).fetchone()
            if known is not None:
                self._judge(known[0], judged, keys, digest)
                return False
            self._db.execute(
                "INSERT INTO crash (crash_key, seen, recorded, source, host, release, product, words, fp_culprit,"
                " fp_frames, fp_exact, outcome, verdict, rule, title, fixed, kb_digest, signature, log)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    key, seen, now, incident.source.path, incident.machine.hostname or host, incident.kernel.release,
                    incident.kernel.product, keys.words, keys.culprit, keys.frames, keys.exact, judged.outcome,
                    judged.verdict, judged.rule, judged.title, judged.fixed, digest, packed, kept,
                ),
            )  # fmt: skip
            return True

    def _judge(self, number: int, judged: Judged, keys: Fingerprint, digest: str) -> None:
        self._db.execute(
            "UPDATE crash SET outcome = ?, verdict = ?, rule = ?, title = ?, fixed = ?, kb_digest = ?, words = ?,"
            " fp_culprit = ?, fp_frames = ?, fp_exact = ? WHERE id = ?",
            (
                judged.outcome, judged.verdict, judged.rule, judged.title, judged.fixed, digest, keys.words,
                keys.culprit, keys.frames, keys.exact, number,
            ),
        )  # fmt: skip

    def judge(self, number: int, judged: Judged, keys: Fingerprint, digest: str) -> None:
        """Write down a new diagnosis of a crash."""
        with self._guard(), self._db:
            self._judge(number, judged, keys, digest)

    def bugs(self, depth: str = "culprit", key: str | None = None) -> list[Bug]:
        """All crashes, or those of one key, by fingerprint of that depth: the most frequent first."""
        column = f"fp_{depth}" if depth in DEPTHS else "fp_culprit"
        found: dict[str, list[tuple[str | None, ...]]] = {}
        where, values = (f" WHERE {column} = ?", (key,)) if key is not None else ("", ())
        with self._guard():
            rows = self._db.execute(
                f"SELECT {column}, seen, host, release, words, outcome, verdict, rule, title, fixed FROM crash"  # noqa: S608  # a column of DEPTHS
                f"{where} ORDER BY seen, id",
                values,
            )
            for row in rows:
                found.setdefault(row[0], []).append(row[1:])
        bugs = [_bug(name, rows) for name, rows in found.items()]
        return sorted(bugs, key=lambda bug: (-bug.count, bug.first, bug.key))

    def crashes(self, key: str | None = None) -> Iterator[Stored]:
        """The crashes, or those that have one key of any depth, oldest first."""
        where = " WHERE ? IN (fp_culprit, fp_frames, fp_exact)" if key is not None else ""
        with self._guard():
            numbers = [
                row[0]
                for row in self._db.execute(
                    f"SELECT id FROM crash{where} ORDER BY seen, id",  # noqa: S608  # a constant
                    (key,) if key is not None else (),
                )
            ]
            for number in numbers:
                row = self._db.execute(
                    "SELECT id, seen, source, host, release, fp_culprit, outcome, verdict, rule, title, fixed,"
                    " signature, log FROM crash WHERE id = ?",
                    (number,),
                ).fetchone()
                judged = Judged(row[6], row[7], row[8], row[9], row[10])
                _, seen, source, host, release, culprit = row[:6]
                signature, log = _unpacked(row[11]) or b"", _unpacked(row[12])
                yield Stored(number, seen, source, host, release, culprit, judged, signature, log)

    @contextlib.contextmanager
    def _guard(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise HistoryError(f"{self.path}: {error}") from error


def _unpacked(data: bytes | None) -> bytes | None:
    return None if data is None else zlib.decompressobj().decompress(data, 256 << 20)


def _bug(key: str, rows: Sequence[tuple[str | None, ...]]) -> Bug:
    last = rows[-1]
    return Bug(
        key=key,
        words=last[3] or "",
        count=len(rows),
        first=rows[0][0] or "",
        last=last[0] or "",
        hosts=tuple(dict.fromkeys(row[1] for row in rows if row[1])),
        releases=tuple(dict.fromkeys(row[2] for row in rows if row[2])),
        judged=Judged(last[4] or "", last[5], last[6], last[7], last[8]),
    )


def seen_before(keys: Fingerprint, path: Path | None = None) -> Bug | None:
    """What the history tells of this bug, by the finest depth that is known; None without a history. Never raises."""
    path = path or default_path()
    if not path.is_file():
        return None
    try:
        with History(path, create=False) as history:
            for depth in reversed(DEPTHS):
                if found := history.bugs(depth, keys.at(depth)):
                    return found[0]
    except HistoryError:
        return None
    return None
