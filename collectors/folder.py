"""The newest crash in a folder: what kdump, pstore or an engineer put there.

Layouts met in the field: /var/crash/ADDRESS-DATE/{vmcore,vmcore-dmesg.txt} (RHEL family, SUSE),
/var/crash/DATE/{dump.DATE,dmesg.DATE} (Debian, Ubuntu). What a file is, its content says.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from kbmatch.collectors.identify import HEAD_BYTES, identify
from kbmatch.engine.errors import UnreadableInput
from kbmatch.engine.values import dataclass

MAX_FILES = 20_000
MAX_DEPTH = 4
_REPORT = "kbmatch-report"
"""What `kbmatch watch` puts beside a crash; it is no log."""


@dataclass(frozen=True, slots=True)
class _Candidate:
    path: Path
    modified: int
    is_dump: bool


def crashes_in(folder: Path) -> tuple[Path, ...]:
    """The files of the newest crash, best first: dumps before texts, newer before older.

    Raises UnreadableInput if the folder cannot be read or holds nothing that could be a crash.
    """
    found = list(_candidates(folder))
    if not found:
        raise UnreadableInput(f"{folder}: no dump and no log in this folder; name a vmcore or a console log")
    newest = max(found, key=lambda item: item.modified).path.parent
    beside = [item for item in found if item.path.parent == newest]
    beside.sort(key=lambda item: (not item.is_dump, -item.modified, item.path.name))
    return tuple(item.path for item in beside)


def pstore_records(paths: Iterable[Path]) -> tuple[Path, ...]:
    """Those of the files that are named like pstore's records of a crash: dmesg-BACKEND-ID (fs/pstore/inode.c)."""
    return tuple(sorted(path for path in paths if re.match(r"dmesg-[a-z][a-z0-9_]*-\d+", path.name)))


def _candidates(folder: Path) -> Iterator[_Candidate]:
    seen = 0
    for path in _files(folder, 0):
        seen += 1
        if seen > MAX_FILES:
            raise UnreadableInput(f"{folder}: more than {MAX_FILES} files; name the crash's own folder")
        try:
            status = path.stat()
            if not stat.S_ISREG(status.st_mode) or status.st_size == 0:
                continue
            with path.open("rb") as file:
                kind = identify(file.read(HEAD_BYTES), status.st_size)
        except OSError:
            continue
        if kind not in ("binary", "freeze") and _REPORT not in path.name:
            is_dump = kind not in ("console", "transcript")
            yield _Candidate(path, status.st_mtime_ns, is_dump)


def _files(folder: Path, depth: int) -> Iterator[Path]:
    try:
        with os.scandir(folder) as entries:
            listed = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        if depth == 0:
            raise UnreadableInput(f"{folder}: {error.strerror}") from error
        return
    for entry in listed:
        if entry.is_dir(follow_symlinks=False):
            if depth < MAX_DEPTH:
                yield from _files(Path(entry.path), depth + 1)
        else:
            yield Path(entry.path)
