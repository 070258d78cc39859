"""In which source file a function is defined: kb/functions/*.txt, from unpacked kernel source trees.

    python -m kbmatch.kb.authoring.mine_functions linux-source-6.1 linux-source-6.12

Run by whoever mines, after `kbmatch kb mine`: only files that some mined rule's fix changes are kept, without helper
functions and names that stand in many files. A function is what a C file writes in its first column before a "{": the
kernel's coding style (Documentation/process/coding-style.rst) makes a parser unnecessary. Facts only: names and paths.
"""

from __future__ import annotations

import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from kbmatch.engine.culprit import HelperFrames
from kbmatch.engine.document import Problems
from kbmatch.kb.store.files import SHIPPED
from kbmatch.kb.store.frames import load_helper_frames
from kbmatch.kb.store.homes import MOST_FILES, packed
from kbmatch.kb.store.mined import read_mined

TARGET = SHIPPED / "functions"
_CALLED = re.compile(r"([A-Za-z_]\w{2,60})\s*\(")
_ATTRIBUTES = re.compile(r"__\w+__|__(?:acquires|releases|must_hold|printf|aligned|cond_acquires)|[A-Z_]+")
_ELSEWHERE = ("tools/", "Documentation/", "samples/", "scripts/")
_LONGEST = 600


def functions_of(text: str) -> set[str]:
    """The functions that a C file defines."""
    found: set[str] = set()
    declared = ""
    for line in text.split("\n"):
        first = line[:1]
        if first == "{":
            found.update(_declared(declared))
            declared = ""
        elif first.isalpha() or first == "_":
            whole = declared.count("(") <= declared.count(")")
            declared = line if whole and "(" in line else f"{declared} {line}"[:_LONGEST]
            if line.rstrip().endswith("{"):
                found.update(_declared(declared))
            if line.rstrip().endswith((";", ":", "{")):
                declared = ""
        elif first in "#}":
            declared = ""
        elif declared:
            declared = "" if line.rstrip().endswith(";") else f"{declared} {line.strip()}"[:_LONGEST]
    return found


def _declared(text: str) -> Iterator[str]:
    if "=" not in text:
        names = (match[1] for match in _CALLED.finditer(text))
        yield from [name for name in names if not _ATTRIBUTES.fullmatch(name)][:1]


def functions_by_file(trees: Iterable[Path]) -> dict[str, set[str]]:
    """Path from the tree's root -> functions defined there, over all trees."""
    found: dict[str, set[str]] = defaultdict(set)
    for tree in trees:
        for path in tree.rglob("*.c"):
            name = path.relative_to(tree).as_posix()
            if not name.startswith(_ELSEWHERE):
                found[name] |= functions_of(path.read_text("utf-8", "replace"))
    return found


def telling(found: Mapping[str, set[str]], wanted: Iterable[str], helpers: HelperFrames) -> dict[str, list[str]]:
    """Those of the wanted files, without helpers and without names that many files of the kernel have."""
    count = Counter(name for names in found.values() for name in names)
    kept: dict[str, list[str]] = {}
    for file in sorted(set(wanted) & set(found)):
        own = (n for n in found[file] if count[n] <= MOST_FILES and not helpers.is_helper(n, "bug"))
        names = sorted(name for name in own if not helpers.is_dispatcher(name))
        if names:
            kept[file] = names
    return kept


def texts(kept: Mapping[str, Sequence[str]], source: str) -> dict[str, str]:
    """File name -> text, by the first folder of the paths."""
    lines: dict[str, list[str]] = defaultdict(list)
    for file, names in sorted(kept.items()):
        top, _, rest = file.partition("/")
        part = f"{top}-{rest.partition('/')[0]}" if top == "drivers" and rest.startswith(("net/", "gpu/")) else top
        lines[f"{part}.txt"] += [file, packed(names)]
    head = f"# Functions by source file (kb/store/homes.py), made from {source} by kb/authoring/mine_functions.py."
    return {name: "\n".join([head, *own]) + "\n" for name, own in lines.items()}


def main(trees: Sequence[Path]) -> None:
    """Write kb/functions/ from the trees."""
    rules = read_mined(sorted((SHIPPED / "mined").glob("*.yaml")), Problems())
    wanted = {file for rule in rules for file in rule.files}
    found = texts(
        telling(functions_by_file(trees), wanted, load_helper_frames()), ", ".join(tree.name for tree in trees)
    )
    TARGET.mkdir(exist_ok=True)
    for path in TARGET.glob("*.txt"):
        if path.name not in found:
            path.unlink()
    for name, text in found.items():
        (TARGET / name).write_text(text, "utf-8")
        sys.stdout.write(f"{name}: {len(text)} bytes\n")


if __name__ == "__main__":
    main([Path(name) for name in sys.argv[1:]])
