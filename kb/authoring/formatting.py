"""The common format of rules and tests: two blanks of indent, keys in one order, versions quoted, comments kept.

A formatter of our own and no library: the ones that keep comments keep all of the author's layout too, and what is
wanted here is one layout. YAML's own parser reads the file; only writing is done here, for the small part of YAML that
knowledge files may use. Each result is read again and compared, values and comments: where anything differs the file is
left alone.

Block and flow style stay as the author chose, but for flow that does not fit on a line or has comments inside.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from kbmatch.engine.document import Mapping, Node, Scalar
from kbmatch.engine.errors import Diagnostic, KnowledgeError
from kbmatch.engine.rule_loader import KEYS as RULE_KEYS
from kbmatch.engine.values import dataclass, field
from kbmatch.kb.authoring.case_files import CASE_KEYS, EXPECT_KEYS
from kbmatch.kb.store.yaml_reader import parse_yaml

WIDTH = 120
QUOTED = frozenset({"introduced", "fixed", "branch", "stream", "commit", "created", "release", "version"})
"""Keys whose text is always quoted: it looks like a number too often."""

_ORDER: dict[tuple[str, ...], tuple[str, ...]] = {
    ("rule",): RULE_KEYS,
    ("rule", "affected"): ("product", "ranges", "source"),
    ("rule", "affected", "ranges"): ("branch", "stream", "introduced", "fixed"),
    ("rule", "fixes"): ("commit", "title"),
    ("rule", "state"): ("probe", "any-record"),
    ("rule", "exceptions"): ("when", "reason"),
    ("test",): ("format", "rule", "cases"),
    ("test", "cases"): CASE_KEYS,
    ("test", "cases", "expect"): EXPECT_KEYS,
}
_MODELINE = re.compile(r"#\s*yaml-language-server:\s*\$schema=(\S+)")


@dataclass(slots=True)
class _Slot:
    """An entry of a mapping or an item of a list, with the comments that belong to it."""

    node: yaml.Node
    key: yaml.ScalarNode | None
    lead: list[str] = field(default_factory=list)
    tail: str | None = None
    beside_key: str | None = None
    blank: bool = False
    after: list[str] = field(default_factory=list)
    children: list[_Slot] = field(default_factory=list)

    @property
    def start(self) -> tuple[int, int]:
        mark = (self.key or self.node).start_mark
        return mark.line, mark.column

    @property
    def end(self) -> tuple[int, int]:
        """Where it really ends: the parser's end mark of a block collection is the next token."""
        if self.children and not self.node.flow_style:  # type: ignore[attr-defined]  # children: a collection
            return self.children[-1].end
        return self.node.end_mark.line, self.node.end_mark.column

    @property
    def column(self) -> int:
        """Where it begins; an item of a list at its dash, two columns before."""
        return self.start[1] if self.key is not None else self.start[1] - 2

    def walk(self) -> Iterator[_Slot]:
        yield self
        for child in self.children:
            yield from child.walk()

    @property
    def commented(self) -> bool:
        """Whether a comment stands anywhere inside."""
        return any(s.lead or s.tail or s.beside_key or s.after for child in self.children for s in child.walk())


def format_text(text: str, file: str, kind: str = "rule", schema: str | None = None) -> str:
    """The text in the common format. `kind` is rule, test or other; `schema` goes into the modeline.

    Raises KnowledgeError if the text is no such YAML, or (code yaml) could not be written anew without loss.
    """
    before = parse_yaml(text, file)
    lines = text.splitlines()
    tree = yaml.compose(text, Loader=yaml.SafeLoader)
    if not isinstance(tree, yaml.MappingNode) or not isinstance(before, Mapping):
        raise KnowledgeError([Diagnostic(file, 1, 1, "not-a-rule", "the file must be a mapping")])
    root = _Slot(tree, None, children=_slots(tree))
    rest = _attach(root, lines)
    head = root.children[0].lead if root.children else []
    if root.children:
        root.children[0].lead = []
    written = [*_header(head, schema), *_mapping(root, 0, (kind,)), *rest]
    result = "\n".join(line.rstrip() for line in written) + "\n"
    _verify(before, lines, result, file)
    return result


def _header(head: list[str], schema: str | None) -> list[str]:
    rest = [line for line in head if not _MODELINE.match(line)]
    present = [line for line in head if _MODELINE.match(line)]
    modeline = [f"# yaml-language-server: $schema={schema}"] if schema else present[:1]
    return [*modeline, *rest]


def _slots(node: yaml.Node) -> list[_Slot]:
    if isinstance(node, yaml.MappingNode):
        return [_Slot(value, key, children=_slots(value)) for key, value in node.value]
    if isinstance(node, yaml.SequenceNode):
        return [_Slot(item, None, children=_slots(item)) for item in node.value]
    return []


def _comments(root: _Slot, lines: list[str]) -> Iterator[tuple[int, int, str]]:
    """(line, column, text from "#" on) of every comment: a "#" at a word's start, outside of all scalars."""
    scalars: list[tuple[tuple[int, int], tuple[int, int]]] = []
    for slot in root.walk():
        for node in (slot.key, slot.node):
            if isinstance(node, yaml.ScalarNode):
                s, e = node.start_mark, node.end_mark
                scalars.append(((s.line, s.column), (e.line, e.column)))
    scalars.sort()
    at = 0
    for number, line in enumerate(lines):
        for match in re.finditer(r"(?:^|(?<=\s))#", line):
            place = (number, match.start())
            while at < len(scalars) and scalars[at][1] <= place:
                at += 1
            if at < len(scalars) and scalars[at][0] <= place < scalars[at][1]:
                continue
            yield number, match.start(), line[match.start() :].rstrip()
            break


def _attach(root: _Slot, lines: list[str]) -> list[str]:
    """Give every comment to its slot; returns those behind the last one."""
    slots = [slot for child in root.children for slot in child.walk()]
    rest: list[str] = []
    first_line: dict[int, int] = {}
    for line, column, text in _comments(root, lines):
        if not lines[line][:column].strip():
            owner = next((slot for slot in slots if slot.start[0] > line), None)
            enclosing = _block_above(slots, line, column, owner)
            if enclosing is not None:
                enclosing.after.append(text)
            elif owner is None:
                rest.append(text)
            else:
                owner.lead.append(text)
                first_line.setdefault(id(owner), line)
            continue
        # a block collection ends where its last child does: the comment is the child's
        ended = [slot for slot in slots if slot.end[0] == line and slot.end[1] <= column and not _is_block(slot)]
        if ended:
            _add_tail(_outermost_last(ended), text)
        else:
            opened = [slot for slot in slots if slot.start[0] == line]
            if opened:
                opened[-1].beside_key = text
            else:
                rest.append(text)
    for slot in slots:
        above = first_line.get(id(slot), slot.start[0]) - 1
        slot.blank = above >= 0 and not lines[above].strip()
    return rest


def _block_above(slots: list[_Slot], line: int, column: int, owner: _Slot | None) -> _Slot | None:
    """The entry that ends the deeper block a comment stands in, by its indent; None if it belongs to what follows."""
    if owner is not None and column <= owner.start[1]:
        return None
    over = [slot for slot in slots if slot.end[0] < line and slot.column <= column]
    return max(over, key=lambda slot: (slot.end, slot.column), default=None) if column > 0 else None


def _outermost_last(ended: list[_Slot]) -> _Slot:
    """Of slots in document order, the last one that lies in no other of them."""
    top = ended[0]
    for slot in ended[1:]:
        if slot.start >= top.end:
            top = slot
    return top


def _is_block(slot: _Slot) -> bool:
    return bool(slot.children) and not slot.node.flow_style  # type: ignore[attr-defined]  # children: a collection


def _add_tail(slot: _Slot, text: str) -> None:
    if slot.tail is None:
        slot.tail = text
    else:
        slot.lead.append(text)


def _mapping(slot: _Slot, indent: int, path: tuple[str, ...]) -> list[str]:
    order = _ORDER.get(path)
    children = slot.children
    if order is not None:
        rank = {name: number for number, name in enumerate(order)}
        children = sorted(children, key=lambda child: rank.get(_key(child), len(rank)))
    written: list[str] = []
    pad = " " * indent
    for child in children:
        if child.blank and written:
            written.append("")
        written += [pad + comment for comment in child.lead]
        name = _key(child)
        shown = _quoted(name) if child.key is not None and child.key.style else name
        written += _value(child, f"{pad}{shown}:", indent, (*path, name))
        written += [pad + comment for comment in child.after]
    return written


def _key(slot: _Slot) -> str:
    return str(slot.key.value) if slot.key is not None else ""


def _value(slot: _Slot, head: str, indent: int, path: tuple[str, ...]) -> list[str]:
    """The lines of a value behind `head` ("key:" or "-"), its block lines indented deeper than `indent`."""
    node = slot.node
    tail = f"  {slot.tail}" if slot.tail else ""
    if isinstance(node, yaml.ScalarNode):
        if node.style in ("|", ">") and _literal(node.value):
            beside = f"  {slot.beside_key}" if slot.beside_key else ""
            return [
                *_block_scalar(node.value, f"{head} ", indent + 2, beside),
                *([" " * indent + tail.strip()] * bool(tail)),
            ]
        return [f"{head} {_scalar(node, path[-1])}".rstrip() + tail]
    flow = _flow(node, path[-1], path)
    fits = len(head) + 1 + len(flow) <= WIDTH
    if not slot.children or (node.flow_style and fits and not slot.commented and not slot.beside_key):  # type: ignore[attr-defined]
        return [f"{head} {flow}{tail}"]
    beside = f"  {slot.beside_key}" if slot.beside_key else tail
    inner = (
        _mapping(slot, indent + 2, path) if isinstance(node, yaml.MappingNode) else _sequence(slot, indent + 2, path)
    )
    if head.lstrip() == "-" and not beside and not inner[0].lstrip().startswith("#"):
        return [f"{head} {inner[0].lstrip()}", *inner[1:]]
    return [head + beside, *inner]


def _sequence(slot: _Slot, indent: int, path: tuple[str, ...]) -> list[str]:
    written: list[str] = []
    pad = " " * indent
    for child in slot.children:
        if child.blank and written:
            written.append("")
        written += [pad + comment for comment in child.lead]
        written += _value(child, f"{pad}-", indent, path)
        written += [pad + comment for comment in child.after]
    return written


def _flow(node: yaml.Node, key: str, path: tuple[str, ...]) -> str:
    if isinstance(node, yaml.MappingNode):
        parts = []
        rank = {name: number for number, name in enumerate(_ORDER.get(path, ()))}
        for name, value in sorted(node.value, key=lambda entry: rank.get(str(entry[0].value), len(rank))):
            shown = _quoted(name.value) if name.style else name.value
            parts.append(f"{shown}: {_flow(value, str(name.value), (*path, str(name.value)))}")
        return "{" + ", ".join(parts) + "}"
    if isinstance(node, yaml.SequenceNode):
        return "[" + ", ".join(_flow(item, key, path) for item in node.value) + "]"
    assert isinstance(node, yaml.ScalarNode)
    return _scalar(node, key)


def _scalar(node: yaml.ScalarNode, key: str) -> str:
    value = str(node.value)
    if node.style or (key in QUOTED and value):
        return _quoted(value)
    return value


def _quoted(value: str) -> str:
    if ('"' in value or "\\" in value) and "'" not in value and value.isprintable():
        return f"'{value}'"
    return json.dumps(value, ensure_ascii=not value.isprintable())


def _literal(value: str) -> bool:
    """Whether a text can stand as a literal block: printable lines, none of blanks alone at the start."""
    return bool(value.strip()) and all(c.isprintable() or c in "\n\t" for c in value) and not value.startswith("\n")


def _block_scalar(value: str, head: str, indent: int, beside: str) -> list[str]:
    body = value.rstrip("\n")
    ends = len(value) - len(body)
    chomping = "-" if ends == 0 else "" if ends == 1 else "+"
    explicit = "2" if body.startswith((" ", "\t")) else ""
    lines = body.split("\n") + [""] * (ends - 1)
    return [f"{head}|{explicit}{chomping}{beside}", *(" " * indent + line if line else "" for line in lines)]


def _plain(node: Node) -> Any:
    if isinstance(node, Scalar):
        return (type(node.value).__name__, node.value)
    if isinstance(node, Mapping):
        return {str(name.value): _plain(value) for name, value in node.entries}
    return [_plain(item) for item in node.items]


def _verify(before: Mapping, lines: list[str], result: str, file: str) -> None:
    def words(root: yaml.Node, text: list[str]) -> list[str]:
        slot = _Slot(root, None, children=_slots(root))
        return sorted(c for _, _, c in _comments(slot, text) if not _MODELINE.match(c))

    try:
        same = _plain(before) == _plain(parse_yaml(result, file))
        old = yaml.compose("\n".join(lines), Loader=yaml.SafeLoader)
        new = yaml.compose(result, Loader=yaml.SafeLoader)
        same = same and old is not None and new is not None and words(old, lines) == words(new, result.splitlines())
    except (yaml.YAMLError, KnowledgeError):
        same = False
    if not same:
        text = "this file cannot be written anew without losing something; bring it into the format by hand"
        raise KnowledgeError([Diagnostic(file, 1, 1, "yaml", text)])


def schema_for(path: Path, name: str) -> str | None:
    """The relative path to schema/<name>.schema.json in one of the folders above; None if there is none."""
    up = ""
    for parent in list(path.resolve().parents)[:8]:
        if (parent / "schema" / f"{name}.schema.json").is_file():
            return f"{up}schema/{name}.schema.json"
        up += "../"
    return None


def format_file(path: Path) -> tuple[str, str]:
    """(the text as it is, the text in the common format) of a rule or test file. Raises KnowledgeError."""
    try:
        text = path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise KnowledgeError([Diagnostic(str(path), 1, 1, "unreadable", str(error))]) from error
    is_test = path.name.endswith(".test.yaml")
    schema = schema_for(path, "rule-test" if is_test else "rule")
    return text, format_text(text, str(path), "test" if is_test else "rule", schema)
