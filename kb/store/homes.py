"""kb/functions/*.txt: in which source files of the kernel a function is defined.

    # where it comes from
    drivers/usb/core/hub.c
    0hub_activate 4event 4port_debounce ...

A line with a path, then one with the names that are defined there, sorted, each as the number of letters (one digit of
base 36) that it shares with the one before and the rest. Written by kb/authoring/mine_functions.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

MOST_FILES = 4
"""A name that is defined in more files says nothing about where the kernel was."""
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def packed(names: Iterable[str]) -> str:
    """The line of one file's names."""
    parts: list[str] = []
    before = ""
    for name in sorted(set(names)):
        shared = 0
        while shared < min(len(before), len(name), len(_DIGITS) - 1) and before[shared] == name[shared]:
            shared += 1
        parts.append(_DIGITS[shared] + name[shared:])
        before = name
    return " ".join(parts)


def unpacked(line: str) -> Iterator[str]:
    """The names of a packed line. Raises ValueError where it is none."""
    before = ""
    for part in line.split():
        before = before[: int(part[0], 36)] + part[1:]
        yield before


def read_homes(paths: Sequence[Path]) -> dict[str, tuple[str, ...]]:
    """Function -> files. Raises KnowledgeError with file and line."""
    found: dict[str, list[str]] = {}
    for path in paths:
        file = ""
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            if line.startswith("#") or not line:
                continue
            if not line.startswith("0"):
                file = line
                continue
            try:
                for name in unpacked(line):
                    found.setdefault(name, []).append(file)
            except ValueError as error:
                from kbmatch.engine.errors import Diagnostic, KnowledgeError

                raise KnowledgeError([Diagnostic(str(path), number, 1, "shape", str(error))]) from error
    return {name: tuple(files) for name, files in found.items() if len(files) <= MOST_FILES}
