"""Reads probe files: kb/probes/<module>.yaml, each one probe."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from kbmatch.engine.document import Mapping, Node, Problems, Reader, Scalar, Sequence
from kbmatch.engine.errors import KnowledgeError
from kbmatch.engine.expression import Expression
from kbmatch.engine.probe import MemberLayout, Probe, ProbeField, RegisterRoot
from kbmatch.kb.store.c_expressions import ExpressionError, parse_expression
from kbmatch.kb.store.yaml_reader import read_yaml

_KEYS = ("format", "id", "module", "record-type", "variable", "roots", "record", "pointers", "layouts")
_REQUIRED = ("format", "id", "module", "record-type", "variable", "roots", "record")
ARCHES = ("x86_64", "aarch64")
_CONTAINER_OF = re.compile(r"container_of\(\s*p\s*,\s*(?P<type>[\w ]+?)\s*,\s*(?P<member>\w+)\s*\)")


def load_probe(node: Node, problems: Problems) -> Probe | None:
    """The probe, or None after noting what is wrong with it."""
    before = len(problems.diagnostics)
    if not isinstance(node, Mapping):
        problems.add(node, "not-a-probe", "a probe file holds one mapping with the key 'format'")
        return None
    reader = Reader(node, problems, "a probe")
    reader.check_keys(_KEYS, _REQUIRED)
    if (version := reader.integer("format")) is not None and version != 1:
        problems.add(node, "format", "this kbmatch reads probes of format 1")
    probe = Probe(
        id=reader.text("id") or "",
        module=reader.text("module") or "",
        variable=reader.text("variable") or "",
        type_name=reader.text("record-type") or "",
        roots=tuple(_root(item, problems) for item in reader.mappings("roots")),
        record=tuple(_record(reader)),
        layouts=_layouts(reader),
        pointers=_pointers(reader),
    )
    return probe if len(problems.diagnostics) == before else None


def field_types(node: Node) -> dict[str, str]:
    """The type ("integer", "text") of each field of a probe's records, by name, without a look at its expression."""
    record = node.get("record") if isinstance(node, Mapping) else None
    if not isinstance(record, Mapping):
        return {}
    return {
        str(name.value): "text" if isinstance(value, Mapping) and value.get("text") is not None else "integer"
        for name, value in record.entries
    }


def load_probe_files(paths: Iterable[Path]) -> tuple[Probe, ...]:
    """All probes of the files. Raises KnowledgeError with everything that is wrong in any of them."""
    problems = Problems()
    probes: list[Probe] = []
    for path in paths:
        try:
            probe = load_probe(read_yaml(path), problems)
        except KnowledgeError as error:
            problems.diagnostics.extend(error.diagnostics)
            continue
        if probe is not None:
            probes.append(probe)
    if problems.diagnostics:
        raise KnowledgeError(problems.diagnostics)
    return tuple(probes)


def _root(node: Mapping, problems: Problems) -> RegisterRoot:
    reader = Reader(node, problems, "a root")
    reader.check_keys(("registers", "as", "yields"), ("registers", "as", "yields"))
    yields = reader.text("yields") or ""
    found = _CONTAINER_OF.fullmatch(yields)
    if yields and found is None:
        problems.add(node.get("yields") or node, "bad-value", 'write yields: "container_of(p, TYPE, MEMBER)"')
    registers = node.get("registers")
    named: dict[str, tuple[str, ...]] = {}
    if isinstance(registers, Mapping):
        part = Reader(registers, problems, "'registers'")
        part.check_keys(ARCHES)
        named = {arch: part.texts(arch) for arch in registers.keys()}  # noqa: SIM118 - not a dict
    elif registers is not None:
        problems.add(registers, "bad-value", "'registers' maps an architecture to a list of registers")
    return RegisterRoot(named, _pointee(reader.text("as") or ""), found["member"] if found else "")


def _pointee(type_name: str) -> str:
    return type_name.rstrip("* ").strip()


def _record(reader: Reader) -> Iterable[ProbeField]:
    record = reader.node.get("record")
    if not isinstance(record, Mapping):
        if record is not None:
            reader.problems.add(record, "bad-value", "'record' maps field names to C expressions")
        return
    for name, value in record.entries:
        type_, text_node, counter = "integer", value, None
        if isinstance(value, Mapping):
            part = Reader(value, reader.problems, "a field")
            if value.get("count") is not None:
                part.check_keys(("count", "while"), ("count", "while"))
                counter, text_node = part.text("count"), value.get("while") or value
            else:
                part.check_keys(("text",), ("text",))
                type_, text_node = "text", value.get("text") or value
        if not isinstance(text_node, Scalar) or not isinstance(text_node.value, str):
            reader.problems.add(
                value, "bad-value", "a field is a C expression in quotes, {text: C} or {count: i, while: C}"
            )
            continue
        try:
            expression = parse_expression(text_node.value)
        except ExpressionError as error:
            reader.problems.add(text_node, "bad-expression", f"{text_node.value!r}: {error}")
            continue
        yield ProbeField(str(name.value), type_, expression, text_node.value, counter)


def _pointers(reader: Reader) -> dict[Expression, str]:
    node = reader.node.get("pointers")
    found: dict[Expression, str] = {}
    if node is None:
        return found
    if not isinstance(node, Mapping):
        reader.problems.add(node, "bad-value", "'pointers' maps C expressions to what they point to")
        return found
    part = Reader(node, reader.problems, "'pointers'")
    for name, _ in node.entries:
        text = part.text(str(name.value))
        try:
            expression = parse_expression(str(name.value))
        except ExpressionError as error:
            reader.problems.add(name, "bad-expression", f"{name.value!r}: {error}")
            continue
        if text is not None:
            found[expression] = text
    return found


def _layouts(reader: Reader) -> dict[str, dict[str, MemberLayout]]:
    node = reader.node.get("layouts")
    found: dict[str, dict[str, MemberLayout]] = {}
    if node is None:
        return found
    if not isinstance(node, Mapping):
        reader.problems.add(node, "bad-value", "'layouts' maps a struct to its members")
        return found
    for struct, members in node.entries:
        placed: dict[str, MemberLayout] = {}
        if isinstance(members, Mapping):
            for member, place in members.entries:
                numbers = [i.value for i in place.items if isinstance(i, Scalar)] if isinstance(place, Sequence) else []
                if len(numbers) == 2 and all(type(n) is int and 0 <= n < 1 << 16 for n in numbers):
                    placed[str(member.value)] = MemberLayout(*(int(n) for n in numbers if isinstance(n, int)))
                else:
                    reader.problems.add(place, "bad-value", "a member is [OFFSET, SIZE] in bytes")
        else:
            reader.problems.add(members, "bad-value", "a struct maps members to [OFFSET, SIZE]")
        found[str(struct.value)] = placed
    return found
