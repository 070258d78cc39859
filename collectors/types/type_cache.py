"""Keeps what was read out of debuginfo files, so that each is opened once: one JSON file a file, in the user's cache.

Nothing that comes from a dump is kept: the next dump must not be read by what an earlier one claimed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from pathlib import Path
from typing import Any

from kbmatch.engine.layout import LaidMember, LaidStruct

FORMAT = 1
MAX_BYTES = 64 << 20


def cache_folder() -> Path:
    """$XDG_CACHE_HOME/kbmatch/types or ~/.cache/kbmatch/types."""
    root = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(root) / "kbmatch" / "types"


class TypeCache:
    """Structs of one file by name; None for names that the file does not know."""

    def __init__(self, path: Path) -> None:
        self.structs: dict[str, LaidStruct | None] = {}
        self.facts: dict[str, str] = {}
        self._dirty = False
        status = path.stat()
        key = f"{path.resolve()}\0{status.st_size}\0{status.st_mtime_ns}\0{FORMAT}"
        self._file = cache_folder() / f"{hashlib.sha256(key.encode('utf-8', 'surrogateescape')).hexdigest()[:32]}.json"
        self._load()

    def _load(self) -> None:
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
            if self._file.stat().st_size <= MAX_BYTES:
                plain = json.loads(self._file.read_bytes())
                structs = {name: _struct(value) for name, value in plain["structs"].items()}
                self.facts = {str(k): str(v) for k, v in plain["facts"].items()}
                self.structs = structs

    def put(self, name: str, structs: dict[str, LaidStruct] | None) -> None:
        """Note what the file says of a name."""
        self.structs[name] = None
        self.structs.update(structs or {})
        self._dirty = True

    def tell(self, name: str, value: str) -> None:
        """Note a fact of the file itself."""
        self.facts[name] = value
        self._dirty = True

    def save(self) -> None:
        """Write what is new; a cache that cannot be written is none."""
        if not self._dirty:
            return
        plain = {"facts": self.facts, "structs": {n: _plain(s) for n, s in self.structs.items()}}
        with contextlib.suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            building = self._file.with_suffix(f".{os.getpid()}")
            building.write_text(json.dumps(plain))
            building.replace(self._file)
        self._dirty = False


def _plain(struct: LaidStruct | None) -> Any:
    if struct is None:
        return None
    members = [[n, m.offset, m.type_name, list(m.bits) if m.bits else None] for n, m in struct.members.items()]
    return [struct.size, members]


def _struct(value: Any) -> LaidStruct | None:
    if value is None:
        return None
    size, members = value
    laid = {str(n): LaidMember(int(o), str(t), (int(b[0]), int(b[1])) if b else None) for n, o, t, b in members}
    return LaidStruct(None if size is None else int(size), laid)
