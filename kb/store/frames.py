"""kb/frames.yaml, read: the functions that carry no blame, as the engine's HelperFrames."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from kbmatch.engine.culprit import HelperFrames
from kbmatch.engine.errors import Diagnostic, KnowledgeError

PATH = Path(__file__).resolve().parent.parent / "frames.yaml"
_KEYS = ("format", "common", "kinds", "dispatchers", "transparent", "stall-kinds")


@lru_cache(maxsize=4)
def load_helper_frames(path: Path = PATH) -> HelperFrames:
    """
    The table of `path` (by default the shipped one); read once a process.

    Raises KnowledgeError with everything that is wrong with the file.
    """
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    problems: list[Diagnostic] = []
    try:
        table = yaml.load(path.read_text(encoding="utf-8"), Loader=loader)  # noqa: S506 - a safe loader
    except OSError as error:
        raise KnowledgeError([Diagnostic(str(path), 1, 1, "unreadable", str(error.strerror))]) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise KnowledgeError(
            [Diagnostic(str(path), line, column, "yaml", str(getattr(error, "problem", error)))]
        ) from None
    if not isinstance(table, dict):
        raise KnowledgeError([Diagnostic(str(path), 1, 1, "shape", "a mapping is expected")])
    problems += [_problem(path, "unknown-key", f"unknown key {key!r}") for key in table if key not in _KEYS]

    def joined(entries: Any, what: str) -> str:
        if not isinstance(entries, list) or not all(isinstance(e, str) for e in entries):
            problems.append(_problem(path, "shape", f"{what}: a list of texts is expected"))
            return ""
        for entry in entries:
            try:
                re.compile(entry)
            except re.error as error:
                problems.append(_problem(path, "regex", f"{what}: {entry!r}: {error}"))
        return "|".join(f"(?:{entry})" for entry in entries)

    kinds = table.get("kinds", {})
    frames = HelperFrames(
        common=joined(table.get("common", []), "common"),
        by_kind={str(kind): joined(entries, f"kinds.{kind}") for kind, entries in dict(kinds).items()},
        dispatchers=joined(table.get("dispatchers", []), "dispatchers"),
        transparent=joined(table.get("transparent", []), "transparent"),
        stall_kinds=tuple(table.get("stall-kinds", ())),
    )
    if problems:
        raise KnowledgeError(problems)
    return frames


def _problem(path: Path, code: str, message: str) -> Diagnostic:
    return Diagnostic(str(path), 1, 1, code, message)
