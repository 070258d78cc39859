"""Parsed documents with source marks: what the engine takes in place of YAML.

The store turns a YAML file into these nodes; rule, probe and table loaders read them and report every problem with
file, line and column (both from 1).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from kbmatch.engine.errors import Diagnostic
from kbmatch.engine.values import dataclass


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a file; line and column count from 1."""

    file: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Scalar:
    """A scalar. `value` is what plain YAML makes of it (str, int, float, bool, None); `quoted` if it was quoted."""

    value: str | int | float | bool | None
    mark: Mark
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list of nodes."""

    items: tuple[Node, ...]
    mark: Mark


@dataclass(frozen=True, slots=True)
class Mapping:
    """Keys (always plain strings) and their nodes, in the file's order; the reader has refused duplicate keys."""

    entries: tuple[tuple[Scalar, Node], ...]
    mark: Mark

    def get(self, key: str) -> Node | None:
        """The node behind `key`, or None."""
        return next((node for name, node in self.entries if name.value == key), None)

    def keys(self) -> Iterator[str]:
        """The keys, in order."""
        return (str(name.value) for name, _ in self.entries)


Node = Scalar | Sequence | Mapping


class Problems:
    """Collects diagnostics, so that a file's errors are shown together and not one by one."""

    def __init__(self) -> None:
        self.diagnostics: list[Diagnostic] = []

    def add(self, node: Node | Mark, code: str, message: str) -> None:
        """Note a problem at the node's place."""
        mark = node if isinstance(node, Mark) else node.mark
        self.diagnostics.append(Diagnostic(mark.file, mark.line, mark.column, code, message))


class Reader:
    """Reads fields of one mapping with the checks that all knowledge files share.

    Every method returns None (or an empty tuple) after noting a problem, so that reading goes on.
    """

    def __init__(self, node: Mapping, problems: Problems, what: str) -> None:
        self.node = node
        self.problems = problems
        self.what = what

    def check_keys(self, allowed: tuple[str, ...], required: tuple[str, ...] = ()) -> None:
        """Note unknown keys (with the nearest known one) and required keys that are missing."""
        for name, _ in self.node.entries:
            if name.value not in allowed:
                hint = nearest(str(name.value), allowed) or f"; known are {', '.join(allowed)}"
                self.problems.add(name, "unknown-key", f"{self.what} has no key {name.value!r}{hint}")
        missing = [repr(key) for key in required if self.node.get(key) is None]
        if missing:
            self.problems.add(self.node, "missing-key", f"{self.what} needs {', '.join(missing)}")

    def text(self, key: str) -> str | None:
        """A string; numbers and dates that YAML would make of an unquoted value are refused."""
        node = self.node.get(key)
        if node is None:
            return None
        return text_of(node, self.problems, f"{key!r}")

    def one_of(self, key: str, allowed: tuple[str, ...]) -> str | None:
        """A string out of a closed list."""
        value = self.text(key)
        node = self.node.get(key)
        if value is not None and node is not None and value not in allowed:
            self.problems.add(node, "bad-value", f"{key!r} is {value!r}; allowed are {', '.join(allowed)}")
            return None
        return value

    def integer(self, key: str) -> int | None:
        """A whole number."""
        node = self.node.get(key)
        if node is None:
            return None
        if isinstance(node, Scalar) and isinstance(node.value, int) and not isinstance(node.value, bool):
            return node.value
        self.problems.add(node, "bad-value", f"{key!r} must be a whole number")
        return None

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of strings; empty where absent."""
        node = self.node.get(key)
        if node is None:
            return ()
        if not isinstance(node, Sequence):
            self.problems.add(node, "bad-value", f"{key!r} must be a list of strings")
            return ()
        found = (text_of(item, self.problems, f"each of {key!r}") for item in node.items)
        return tuple(value for value in found if value is not None)

    def mappings(self, key: str) -> tuple[Mapping, ...]:
        """A list of mappings; empty where absent."""
        node = self.node.get(key)
        if node is None:
            return ()
        if not isinstance(node, Sequence):
            self.problems.add(node, "bad-value", f"{key!r} must be a list")
            return ()
        found: list[Mapping] = []
        for item in node.items:
            if isinstance(item, Mapping):
                found.append(item)
            else:
                self.problems.add(item, "bad-value", f"each of {key!r} must be a mapping")
        return tuple(found)


def nearest(word: str, known: Iterable[str]) -> str:
    """ "; did you mean ...?" with the nearest of the known words, "" if none is near."""
    from difflib import get_close_matches  # 3 ms, only where somebody made a mistake

    near = get_close_matches(word, tuple(known), 1)
    return f"; did you mean {near[0]!r}?" if near else ""


def text_of(node: Node, problems: Problems, what: str) -> str | None:
    """The string of a scalar node, or None after noting what else it is."""
    if isinstance(node, Scalar):
        if isinstance(node.value, str):
            return node.value
        if isinstance(node.value, (int, float)) and not isinstance(node.value, bool):
            problems.add(node, "unquoted", f"{what} must be a string: put it in quotes, YAML reads a number")
            return None
    problems.add(node, "bad-value", f"{what} must be a string")
    return None
