"""Reads one YAML file into the engine's document nodes, with marks.

Only what knowledge files need: plain and quoted scalars, lists, mappings. Anchors, aliases, tags, several documents and
duplicate keys are errors. Plain scalars follow YAML 1.1 for integers, floats, booleans and null; dates stay text.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from kbmatch.engine.document import Mapping, Mark, Node, Problems, Scalar, Sequence
from kbmatch.engine.errors import Diagnostic, KnowledgeError

MAX_BYTES = 64 << 20
MAX_DEPTH = 60

# Any: the stubs leave the parser's event methods untyped
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_yaml(path: Path) -> Node:
    """The document of a file. Raises KnowledgeError, with line and column, for anything that is not such a document."""
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise _error(path, 1, 1, "too-large", f"{size} bytes; a knowledge file has at most {MAX_BYTES}")
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise _error(path, 1, 1, "unreadable", str(error.strerror or error)) from error
    except UnicodeDecodeError as error:
        before = error.object[: error.start]
        line = before.count(b"\n") + 1
        raise _error(path, line, error.start - before.rfind(b"\n"), "encoding", "not UTF-8") from error
    return parse_yaml(text, str(path))


def parse_yaml(text: str, file: str) -> Node:
    """The document of a text; `file` names it in errors. Raises KnowledgeError."""
    loader = _Loader(text)
    problems = Problems()
    try:
        events = _Events(loader, file, problems)
        node = events.document()
    except yaml.MarkedYAMLError as error:
        at = error.problem_mark or error.context_mark
        line, column = (at.line + 1, at.column + 1) if at else (1, 1)
        raise _error(file, line, column, "yaml", error.problem or "not YAML") from error
    except yaml.YAMLError as error:
        raise _error(file, 1, 1, "yaml", str(error).replace("\n", " ")) from error
    finally:
        loader.dispose()
    if problems.diagnostics:
        raise KnowledgeError(problems.diagnostics)
    return node


def _error(file: Path | str, line: int, column: int, code: str, message: str) -> KnowledgeError:
    return KnowledgeError([Diagnostic(str(file), line, column, code, message)])


class _Events:
    """Turns the parser's events into nodes."""

    def __init__(self, loader: Any, file: str, problems: Problems) -> None:
        self._loader = loader
        self._file = file
        self._problems = problems

    def document(self) -> Node:
        next_ = self._loader.get_event
        next_()  # stream start
        if isinstance(self._loader.peek_event(), yaml.StreamEndEvent):
            raise _error(self._file, 1, 1, "empty", "the file holds no document")
        next_()  # document start
        node = self._node(0)
        next_()  # document end
        if not isinstance(event := self._loader.peek_event(), yaml.StreamEndEvent):
            self._problems.add(self._mark(event), "yaml", "one file holds one document")
        return node

    def _mark(self, event: Any) -> Mark:
        return Mark(self._file, event.start_mark.line + 1, event.start_mark.column + 1)

    def _node(self, depth: int) -> Node:
        event = self._loader.get_event()
        mark = self._mark(event)
        if depth > MAX_DEPTH:
            raise _error(self._file, mark.line, mark.column, "too-deep", f"nests deeper than {MAX_DEPTH}")
        if isinstance(event, yaml.AliasEvent):
            self._problems.add(mark, "yaml-alias", "aliases are not allowed: write the value out")
            return Scalar(None, mark)
        if event.anchor is not None:
            self._problems.add(mark, "yaml-anchor", "anchors are not allowed: write the value out")
        if event.tag is not None:
            self._problems.add(mark, "yaml-tag", f"tags like {event.tag} are not allowed")
        if isinstance(event, yaml.ScalarEvent):
            quoted = bool(event.style)  # the C parser gives "" for plain, the Python one None
            value = event.value if quoted else _plain(self._loader, event.value)
            return Scalar(value, mark, quoted)
        if isinstance(event, yaml.SequenceStartEvent):
            items: list[Node] = []
            while not isinstance(self._loader.peek_event(), yaml.SequenceEndEvent):
                items.append(self._node(depth + 1))
            self._loader.get_event()
            return Sequence(tuple(items), mark)
        return self._mapping(mark, depth)

    def _mapping(self, mark: Mark, depth: int) -> Mapping:
        entries: list[tuple[Scalar, Node]] = []
        seen: dict[str, int] = {}
        while not isinstance(self._loader.peek_event(), yaml.MappingEndEvent):
            key = self._node(depth + 1)
            value = self._node(depth + 1)
            if not isinstance(key, Scalar):
                self._problems.add(key, "yaml-key", "a key must be a plain word")
                continue
            name = key.value if isinstance(key.value, str) else _source_text(key)
            if name in seen:
                self._problems.add(key, "duplicate-key", f"{name!r} stands already in line {seen[name]}")
                continue
            seen[name] = key.mark.line
            entries.append((Scalar(name, key.mark, key.quoted), value))
        self._loader.get_event()
        return Mapping(tuple(entries), mark)


def _source_text(key: Scalar) -> str:
    return "null" if key.value is None else str(key.value).lower()


def _plain(loader: Any, text: str) -> str | int | float | bool | None:
    """What YAML 1.1 makes of a plain scalar; everything but numbers, booleans and null stays text."""
    tag = loader.resolve(yaml.ScalarNode, text, (True, False))
    if tag == "tag:yaml.org,2002:null":
        return None
    if tag == "tag:yaml.org,2002:bool":
        return text.lower() in ("yes", "true", "on")
    node = yaml.ScalarNode(tag, text)
    try:
        if tag == "tag:yaml.org,2002:int":
            return int(loader.construct_yaml_int(node))
        if tag == "tag:yaml.org,2002:float":
            return float(loader.construct_yaml_float(node))
    except ValueError:
        return text
    return text
