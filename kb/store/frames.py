"""kb/frames.yaml, read: the functions that carry no blame, as the engine's HelperFrames."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from kbmatch.engine.culprit import HelperFrames
from kbmatch.engine.errors import Diagnostic, KnowledgeError

PATH = Path(__file__).resolve().parent.parent / "frames.yaml"
_TABLES = ("kinds", "exceptions", "families")
_KEYS = ("format", "common", "dispatchers", "outer-dispatchers", "stall-kinds", "stall-messages", *_TABLES)
BY_INITIAL = "common-by-initial"
"""Only in the compiled form: `common`, split by initial letter (kb/store/initials.py)."""


@lru_cache(maxsize=4)
def load_helper_frames(path: Path = PATH) -> HelperFrames:
    """The table of `path` (by default the shipped one); read once a process.

    Raises KnowledgeError with everything that is wrong with the file.
    """
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
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
    return frames_of(table, str(path), checked=True)


def frames_of(table: object, file: str, *, checked: bool = False) -> HelperFrames:
    """The table of a document that YAML or JSON gave; with `checked` its regular expressions are tried, too.

    Raises KnowledgeError with everything that is wrong; `file` names the document in it.
    """
    problems: list[Diagnostic] = []
    path = Path(file)
    if not isinstance(table, dict):
        raise KnowledgeError([Diagnostic(str(path), 1, 1, "shape", "a mapping is expected")])
    problems += [
        _problem(path, "unknown-key", f"unknown key {key!r}") for key in table if key not in (*_KEYS, BY_INITIAL)
    ]

    def joined(entries: Any, what: str) -> str:
        if not isinstance(entries, list) or not all(isinstance(e, str) for e in entries):
            problems.append(_problem(path, "shape", f"{what}: a list of texts is expected"))
            return ""
        for entry in entries if checked else ():
            try:
                re.compile(entry)
            except re.error as error:
                problems.append(_problem(path, "regex", f"{what}: {entry!r}: {error}"))
        return "|".join(f"(?:{entry})" for entry in entries)

    def by_name(what: str) -> dict[str, str]:
        entries = table.get(what, {})
        if not isinstance(entries, dict):
            problems.append(_problem(path, "shape", f"{what}: a mapping is expected"))
            return {}
        return {str(k): joined([v] if isinstance(v, str) else v, f"{what}.{k}") for k, v in entries.items()}

    frames = HelperFrames(
        common=joined(table.get("common", []), "common"),
        common_by_initial=dict(table.get(BY_INITIAL, {})),
        by_kind=by_name("kinds"),
        exceptions=by_name("exceptions"),
        dispatchers=joined(table.get("dispatchers", []), "dispatchers"),
        outer_dispatchers=joined(table.get("outer-dispatchers", []), "outer-dispatchers"),
        stall_kinds=tuple(str(kind) for kind in table.get("stall-kinds", ())),
        stall_messages=str(table.get("stall-messages", "")),
        families=by_name("families"),
    )
    if problems:
        raise KnowledgeError(problems)
    return frames


def _problem(path: Path, code: str, message: str) -> Diagnostic:
    return Diagnostic(str(path), 1, 1, code, message)
