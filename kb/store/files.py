"""Which files make up a folder of knowledge, and what they are known by."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from kbmatch.engine.errors import Diagnostic, KnowledgeError
from kbmatch.engine.values import dataclass, replace

SHIPPED = Path(__file__).resolve().parent.parent
"""The kb folder that is installed with kbmatch."""

FORMAT = 17
"""Of the compiled file; another number means: compile anew."""

_OTHER_FOLDERS = ("probes", "layouts", "schema", "mined", "advisories")
_MAX_FILES = 1_000_000


@dataclass(frozen=True, slots=True)
class KnowledgeFiles:
    """The files of one folder, sorted. Tests beside the rules are no rules.

    Of several folders that are compiled together, `folder` is the first and `more` are the others.
    """

    folder: Path
    rules: tuple[Path, ...]
    probes: tuple[Path, ...]

    tables: tuple[Path, ...] = ()
    layouts: tuple[Path, ...] = ()
    mined: tuple[Path, ...] = ()
    advisories: tuple[Path, ...] = ()
    more: tuple[Path, ...] = ()

    def key(self, base: str = "") -> str:
        """A key that changes when a file is added, removed, renamed or written: path, size and mtime_ns of each.

        `base` is the key of what the files were checked against.
        """
        seen = bytearray(base.encode())
        for path in (*self.rules, *self.probes, *self.tables, *self.layouts, *self.mined, *self.advisories):
            try:
                status = path.stat()
            except OSError:
                continue  # reading it will say what is wrong
            seen += f"{path}\0{status.st_size}\0{status.st_mtime_ns}\0".encode("utf-8", "surrogateescape")
        # checksums do for a key of the user's own cache; importing hashlib costs 3 ms
        return f"{len(seen):08x}{zlib.crc32(seen):08x}{zlib.adler32(seen):08x}{zlib.crc32(seen[::-1]):08x}"


def find_files(folder: Path) -> KnowledgeFiles:
    """The knowledge files below a folder: rules anywhere but in probes/, layouts/ and schema/.

    Raises KnowledgeError if the folder is none.
    """
    if not folder.is_dir():
        raise KnowledgeError(
            [Diagnostic(str(folder), 1, 1, "no-folder", "this is no folder; name one that holds rule files")]
        )
    rules_root = folder / "rules" if folder == SHIPPED else folder
    rules = [p for p in _yaml_below(rules_root, _OTHER_FOLDERS) if not p.name.endswith(".test.yaml")]
    probes = _yaml_below(folder / "probes", ())
    # the compiler's own code counts as well: what a developer changes there must not meet an older cache
    code = sorted((SHIPPED / "store").glob("*.py")) if folder == SHIPPED else []
    homes = sorted((SHIPPED / "functions").glob("*.txt")) if folder == SHIPPED else []
    tables = (folder / "products.yaml", folder / "frames.yaml", *homes, *code) if folder == SHIPPED else ()
    layouts, mined, advisories = (
        tuple(sorted(_yaml_below(folder / name, ()))) for name in ("layouts", "mined", "advisories")
    )
    return KnowledgeFiles(folder, tuple(sorted(rules)), tuple(sorted(probes)), tables, layouts, mined, advisories)


def together(folders: Sequence[KnowledgeFiles]) -> KnowledgeFiles:
    """The files of several folders as one set; the shipped folder, if it is among them, comes first."""
    first, *rest = sorted(folders, key=lambda files: files.folder != SHIPPED)
    for files in rest:
        first = replace(
            first,
            rules=first.rules + files.rules,
            probes=first.probes + files.probes,
            layouts=first.layouts + files.layouts,
            mined=first.mined + files.mined,
            advisories=first.advisories + files.advisories,
            more=(*first.more, files.folder),
        )
    return first


def _yaml_below(folder: Path, skipped: Iterable[str]) -> list[Path]:
    found: list[Path] = []
    left_out = {str(folder / name) for name in skipped}
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(f for f in folders if f"{root}/{f}" not in left_out and not f.startswith("."))
        found += [Path(root, name) for name in files if name.endswith(".yaml")]
        if len(found) > _MAX_FILES:
            raise KnowledgeError(
                [Diagnostic(str(folder), 1, 1, "too-large", f"more than {_MAX_FILES} rule files below this folder")]
            )
    return found
