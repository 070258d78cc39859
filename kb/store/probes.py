"""Reads probe files: kb/probes/<module>.yaml, each one probe.

roots:                                  # tried in this order
- {registers: {x86_64: [r8, rdi]}, as: "struct napi_struct *", where: "p->poll == &f", yields: "container_of(...)"}
- {each: net_devices, where: "p->netdev_ops == &ops", yields: "netdev_priv(p)"}
- walk:                               # steps inside each other, each with a variable of its own
- {each: net_devices, as: dev}
- {array: "dev->_tx", count: "dev->num_tx_queues", as: queue, where: "queue->state != 0"}
- {list: "&q->list", of: "struct request", member: queuelist, as: rq}
- {each: cpus, as: cpu}
- {value: "...", as: x}
- {range: "q->count", as: i}
yields: "rq"
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from kbmatch.engine.code_pattern import MIN_KNOWN, parse_code_pattern
from kbmatch.engine.document import Mapping, Node, Problems, Reader, Scalar, Sequence
from kbmatch.engine.errors import KnowledgeError
from kbmatch.engine.expression import Expression, Number
from kbmatch.engine.kinds import KINDS
from kbmatch.engine.probe import (
    MemberLayout,
    Probe,
    ProbeField,
    RegisterRecord,
    RegisterRoot,
    Step,
    WalkRoot,
)
from kbmatch.kb.store.c_expressions import ExpressionError, parse_expression
from kbmatch.kb.store.yaml_reader import read_yaml

_KEYS = (
    "format", "id", "module", "record-type", "variable", "roots", "record", "pointers", "layouts", "kinds",
    "register-records", "sentence", "uses", "functions",
)  # fmt: skip
_REQUIRED = ("format", "id", "module", "record-type", "variable", "roots", "record")
_EACH = {"net_devices": "net-devices", "cpus": "cpus"}
ARCHES = ("x86_64", "aarch64")
_CONTAINER_OF = re.compile(r"container_of\(\s*p\s*,\s*(?P<type>[\w ]+?)\s*,\s*(?P<member>\w+)\s*\)")
_NAME = re.compile(r"[A-Za-z_]\w*")


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
    roots = reader.mappings("roots")
    probe = Probe(
        id=reader.text("id") or "",
        module=reader.text("module") or "",
        variable=reader.text("variable") or "",
        type_name=reader.text("record-type") or "",
        roots=tuple(_register_root(item, problems) for item in roots if item.get("registers") is not None),
        record=tuple(_record(reader)),
        layouts=_layouts(reader),
        pointers=_pointers(reader),
        walks=tuple(_walk(item, problems) for item in roots if item.get("registers") is None),
        register_records=tuple(_register_record(item, problems) for item in reader.mappings("register-records")),
        kinds=tuple(reader.texts("kinds")),
        sentence=reader.text("sentence"),
        uses=reader.texts("uses"),
        functions=reader.texts("functions"),
    )
    for name in re.findall(r"\{(.*?)\}", probe.sentence or ""):
        if name not in {item.name for item in probe.record}:
            problems.add(
                node.get("sentence") or node, "unknown-field", f"'sentence' names {name!r}, no field of 'record'"
            )
    for kind in probe.kinds:
        if kind not in KINDS:
            problems.add(node.get("kinds") or node, "bad-value", f"there is no crash of kind {kind!r}")
    fields = {item.name for item in probe.record}
    for record in probe.register_records:
        for name in record.record.keys() - fields:
            problems.add(node, "unknown-field", f"register-records name {name!r}, which 'record' does not have")
    return probe if len(problems.diagnostics) == before else None


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


def _register_root(node: Mapping, problems: Problems) -> RegisterRoot:
    reader = Reader(node, problems, "a root")
    reader.check_keys(("registers", "as", "where", "yields"), ("registers", "as", "yields"))
    yields = reader.text("yields") or ""
    found = _CONTAINER_OF.fullmatch(yields.strip())
    registers = node.get("registers")
    named: dict[str, tuple[str, ...]] = {}
    if isinstance(registers, Mapping):
        part = Reader(registers, problems, "'registers'")
        part.check_keys(ARCHES)
        named = {arch: part.texts(arch) for arch in registers.keys()}  # noqa: SIM118 - not a dict
    elif registers is not None:
        problems.add(registers, "bad-value", "'registers' maps an architecture to a list of registers")
    return RegisterRoot(
        named,
        _pointee(reader.text("as") or ""),
        found["member"] if found else "",
        _expression(reader, "where"),
        _expression(reader, "yields"),
    )


def _expression(reader: Reader, key: str) -> Expression | None:
    """The expression behind a key; None if it is absent or, after noting why, if it is no expression."""
    text = reader.text(key)
    node = reader.node.get(key)
    if text is None or node is None:
        return None
    try:
        return parse_expression(text)
    except ExpressionError as error:
        reader.problems.add(node, "bad-expression", f"{text!r}: {error}")
        return None


def _walk(node: Mapping, problems: Problems) -> WalkRoot:
    reader = Reader(node, problems, "a root")
    if node.get("walk") is not None:
        reader.check_keys(("walk", "yields"), ("walk", "yields"))
        steps = tuple(_step(item, problems) for item in reader.mappings("walk"))
        if not steps:
            problems.add(node, "bad-value", "'walk' is a list of steps")
    else:
        steps = (_step(node, problems, alone=True),)
    return WalkRoot(steps, _expression(reader, "yields") or Number(0))


def _step(node: Mapping, problems: Problems, *, alone: bool = False) -> Step:
    reader = Reader(node, problems, "a step")
    kinds = [key for key in ("each", "list", "array", "range", "value") if node.get(key) is not None]
    if len(kinds) != 1:
        problems.add(node, "bad-value", "a step has one of: registers, each, list, array, range, value")
        return Step("value", "p", Number(0))
    kind = kinds[0]
    own = {"list": ("of", "member"), "array": ("count",)}.get(kind, ())
    common = (kind, *own, "as", "where")
    reader.check_keys((*common, "yields") if alone else common, (kind, *own))
    variable = reader.text("as") or "p"
    if not _NAME.fullmatch(variable):
        problems.add(node.get("as") or node, "bad-value", "'as' names the step's variable")
    where = _expression(reader, "where")
    if kind == "each":
        what = reader.one_of("each", tuple(_EACH)) or "cpus"
        return Step(_EACH[what], variable, where=where)
    return Step(
        kind,
        variable,
        _expression(reader, kind),
        _expression(reader, "count"),
        _pointee(reader.text("of") or "") or None,
        reader.text("member") if kind == "list" else None,
        where,
    )


def _register_record(node: Mapping, problems: Problems) -> RegisterRecord:
    reader = Reader(node, problems, "a register record")
    reader.check_keys(("arch", "code", "build-id", "where", "record"), ("arch", "where", "record"))
    code, build_id = reader.text("code"), reader.text("build-id")
    if code is not None:
        try:
            known = parse_code_pattern(code).known
        except ValueError as error:
            problems.add(node.get("code") or node, "bad-code", str(error))
        else:
            if known < MIN_KNOWN and build_id is None:
                problems.add(node.get("code") or node, "bad-code", f"{known} known bytes; {MIN_KNOWN} are needed")
    elif build_id is None:
        problems.add(node, "unbound", "registers mean something in one build only: give 'code' or 'build-id'")
    record: dict[str, Expression] = {}
    values = node.get("record")
    if isinstance(values, Mapping):
        part = Reader(values, problems, "'record'")
        for key in values.keys():  # noqa: SIM118 - not a dict
            if (value := _expression(part, key)) is not None:
                record[key] = value
    arch = reader.one_of("arch", ARCHES) or "x86_64"
    return RegisterRecord(arch, code, build_id, _expression(reader, "where") or Number(0), record)


def _pointee(type_name: str) -> str:
    return type_name.rstrip("* ").strip()


def _record(reader: Reader) -> Iterable[ProbeField]:
    record = reader.node.get("record")
    if not isinstance(record, Mapping):
        if record is not None:
            reader.problems.add(record, "bad-value", "'record' maps field names to C expressions")
        return
    for name, value in record.entries:
        type_, shown, counter = "integer", value, None
        if isinstance(value, Mapping):
            part = Reader(value, reader.problems, "a field")
            if value.get("count") is not None:
                part.check_keys(("count", "while"), ("count", "while"))
                counter, shown = part.text("count"), value.get("while") or value
            else:
                part.check_keys(("text",), ("text",))
                type_, shown = "text", value.get("text") or value
        nodes = shown.items if isinstance(shown, Sequence) and shown.items else (shown,)
        found = [_field_expression(item, reader) for item in nodes]
        first = nodes[0]
        kept = [expression for expression in found if expression is not None]
        if len(kept) == len(found) and isinstance(first, Scalar):
            yield ProbeField(str(name.value), type_, kept[0], str(first.value), counter, tuple(kept[1:]))


def _field_expression(node: Node, reader: Reader) -> Expression | None:
    if not isinstance(node, Scalar) or not isinstance(node.value, str):
        said = "a field is a C expression in quotes (or a list of them), {text: C} or {count: i, while: C}"
        reader.problems.add(node, "bad-value", said)
        return None
    try:
        return parse_expression(node.value)
    except ExpressionError as error:
        reader.problems.add(node, "bad-expression", f"{node.value!r}: {error}")
        return None


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
                match numbers:
                    case [int(offset), int(size), *rest] if 0 <= offset < 1 << 24 and 0 < size < 1 << 24:
                        type_ = rest[0] if len(rest) == 1 and isinstance(rest[0], str) else None
                        placed[str(member.value)] = MemberLayout(offset, size, type_)
                    case _:
                        wanted = "a member is [OFFSET, SIZE] or [OFFSET, SIZE, TYPE], in bytes"
                        reader.problems.add(place, "bad-value", wanted)
        else:
            reader.problems.add(members, "bad-value", "a struct maps members to [OFFSET, SIZE]")
        found[str(struct.value)] = placed
    return found
