"""What crashes lie in the watched folders, and which of them are still being written.

A crash is a folder with a dump or a log in it (kdump: ADDRESS-DATE/{vmcore,vmcore-dmesg.txt}; systemd-pstore: a folder
a boot), or a file right below a watched folder. While a dump is written, kdump-tools and makedumpfile call it
"-incomplete" (scripts of kexec-tools and dracut's kdump module); other writers are told by growth and by their open
descriptors in /proc.
"""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from kbmatch.collectors.identify import HEAD_BYTES, identify
from kbmatch.engine.values import dataclass

MAX_FILES = 20_000
MAX_DEPTH = 4
GIVEN_UP = 900
"""Seconds after which a file that is still called incomplete is taken for all there will be."""
REPORT = "kbmatch-report"
_UNFINISHED = ("-incomplete", ".incomplete", ".part", ".partial", ".tmp", ".filepart", ".crdownload", ".swp")
_COMPRESSED = (b"\x1f\x8b", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"BZh")


@dataclass(frozen=True, slots=True)
class Seen:
    """One file as it was at one moment; `modified` is in nanoseconds."""

    path: str
    device: int
    inode: int
    size: int
    modified: int


@dataclass(frozen=True, slots=True)
class Unit:
    """One crash: its files, and the best of them to read (a dump before a log, then the newest)."""

    name: str
    files: tuple[Seen, ...]
    best: Seen

    @property
    def id(self) -> str:
        """Known by the best file's place and content's age: the same as long as nobody writes to it."""
        best = self.best
        text = f"{self.name}\0{best.path}\0{best.inode}\0{best.size}\0{best.modified}"
        return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:32]


class Scanner:
    """Finds the crashes below folders, and remembers how their files looked the last time."""

    def __init__(self, folders: Sequence[Path], settle: float) -> None:
        self.folders = tuple(folders)
        self.settle = settle
        self._since: dict[str, tuple[tuple[Seen, ...], float]] = {}
        self._kinds: dict[Seen, str] = {}

    def units(self) -> list[Unit]:
        """The crashes there are, sorted by name."""
        grouped: dict[str, list[Seen]] = {}
        for root in self.folders:
            for seen in _files(root):
                parent = os.path.dirname(seen.path)
                name = seen.path if parent == str(root) else parent
                grouped.setdefault(name, []).append(seen)
        units = []
        kinds: dict[Seen, str] = {}
        for name, files in sorted(grouped.items()):
            for seen in files:
                kinds[seen] = self._kinds.get(seen) or _kind(seen)
            able = [seen for seen in files if kinds[seen] != "other"]
            if able:
                best = min(able, key=lambda seen: (kinds[seen] != "dump", -seen.modified, seen.path))
                units.append(Unit(name, tuple(sorted(files, key=lambda seen: seen.path)), best))
        self._kinds = kinds
        present = {unit.name for unit in units}
        self._since = {name: value for name, value in self._since.items() if name in present}
        return units

    def is_settled(self, unit: Unit, now: float | None = None) -> bool:
        """Whether nobody writes the crash's files any more."""
        now = time.monotonic() if now is None else now
        before = self._since.get(unit.name)
        if before is None or before[0] != unit.files:
            self._since[unit.name] = (unit.files, now)
            age = time.time() - max(seen.modified for seen in unit.files) / 1e9
            if not self.settle * 6 <= age:  # lies there since before the watcher began
                return False
            before = self._since[unit.name]
            waited = age
        else:
            waited = now - before[1]
        patience = self.settle
        if any(_is_unfinished(seen.path) for seen in unit.files):
            patience = max(patience, GIVEN_UP)
        return waited >= patience and not any(_has_writer(seen) for seen in unit.files)


def _files(root: Path) -> Iterator[Seen]:
    """Regular files with something in them; own reports and hidden files (of rsync and others) do not count."""
    waiting: list[tuple[str, int]] = [(str(root), 0)]
    count = 0
    while waiting:
        folder, depth = waiting.pop()
        try:
            with os.scandir(folder) as entries:
                listed = list(entries)
        except OSError:
            continue  # gone again, or not ours to read
        for entry in listed:
            count += 1
            if count > MAX_FILES:
                return
            if entry.name.startswith(".") or REPORT in entry.name:
                continue
            try:
                if entry.is_dir(follow_symlinks=False):
                    if depth < MAX_DEPTH:
                        waiting.append((entry.path, depth + 1))
                    continue
                status = entry.stat(follow_symlinks=False)
            except OSError:
                continue
            if stat.S_ISREG(status.st_mode) and status.st_size:
                yield Seen(entry.path, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def _kind(seen: Seen) -> str:
    """ "dump", "text" or "other"; a compressed file may hold either and is taken for a dump."""
    try:
        with open(seen.path, "rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError:
        return "other"
    found = identify(head, seen.size)
    if found == "binary":
        return "dump" if head.startswith(_COMPRESSED) else "other"
    if found == "freeze":
        return "other"
    return "text" if found in ("console", "transcript") else "dump"


def _is_unfinished(path: str) -> bool:
    return path.lower().endswith(_UNFINISHED)


def _has_writer(seen: Seen) -> bool:
    """Whether a process has the file open for writing; only own processes can be asked without privileges."""
    wanted = (seen.device, seen.inode)
    try:
        processes = [name for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return False
    for process in processes:
        folder = f"/proc/{process}/fd"
        try:
            descriptors = os.listdir(folder)
        except OSError:
            continue
        for descriptor in descriptors:
            try:
                status = os.stat(f"{folder}/{descriptor}")
                if (status.st_dev, status.st_ino) == wanted and _writes(process, descriptor):
                    return True
            except OSError:
                continue
    return False


def _writes(process: str, descriptor: str) -> bool:
    with open(f"/proc/{process}/fdinfo/{descriptor}", encoding="ascii", errors="replace") as file:
        for line in file:
            if line.startswith("flags:"):
                return int(line.split()[1], 8) & os.O_ACCMODE != os.O_RDONLY
    return False
