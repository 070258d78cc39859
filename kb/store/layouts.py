"""Reads layout files: kb/layouts/<product>.yaml, structs of kernels that ship no type information.

format: 1
id: uek5
releases: ["4.14.35-1902.*.el7uek.x86_64"]      # in full, or with * for any run of characters
build-ids: [...]                                # or instead
source: where the offsets were taken from
structs:
struct netfront_queue:
size: 0x2000                                # bytes; may be left out
members:
info: [0x20, "struct netfront_info *"]    # offset, type as C declares it
flag: [0x28, u8, 3, 1]                    # a bit field: its first bit, its width
aliases: {RING_IDX: u32}                        # typedefs
"""

from __future__ import annotations

import re

from kbmatch.engine.document import Mapping, Node, Problems, Reader, Scalar, Sequence
from kbmatch.engine.layout import LaidMember, LaidStruct, Layout

_KEYS = ("format", "id", "releases", "build-ids", "source", "structs", "aliases")
_BUILD_ID = re.compile(r"[0-9a-f]{16,64}")
_STRUCT = re.compile(r"(?:struct|union) [A-Za-z_]\w*")
MAX_OFFSET = 1 << 26


def load_layout(node: Node, problems: Problems) -> Layout | None:
    """The layout, or None after noting what is wrong with it."""
    before = len(problems.diagnostics)
    if not isinstance(node, Mapping):
        problems.add(node, "not-a-layout", "a layout file holds one mapping with the key 'format'")
        return None
    reader = Reader(node, problems, "a layout")
    reader.check_keys(_KEYS, ("format", "id", "source", "structs"))
    if (version := reader.integer("format")) is not None and version != 1:
        problems.add(node.get("format") or node, "format", "this kbmatch reads layouts of format 1")
    build_ids = reader.texts("build-ids")
    for build_id in build_ids:
        if not _BUILD_ID.fullmatch(build_id):
            problems.add(node.get("build-ids") or node, "bad-value", f"{build_id!r} is no build id in lower-case hex")
    layout = Layout(
        id=reader.text("id") or "",
        source=reader.text("source") or "",
        releases=reader.texts("releases"),
        build_ids=build_ids,
        structs=_structs(node.get("structs"), problems),
        aliases=_aliases(node.get("aliases"), problems),
    )
    if not layout.releases and not layout.build_ids:
        problems.add(node, "unbound", "say for which kernels it is: 'releases' or 'build-ids'")
    return layout if len(problems.diagnostics) == before else None


def _structs(node: Node | None, problems: Problems) -> dict[str, LaidStruct]:
    found: dict[str, LaidStruct] = {}
    if not isinstance(node, Mapping):
        if node is not None:
            problems.add(node, "bad-value", "'structs' maps struct names to their size and members")
        return found
    for name, value in node.entries:
        if not _STRUCT.fullmatch(str(name.value)) or not isinstance(value, Mapping):
            problems.add(name, "bad-value", 'a struct is named "struct x" or "union x" and has \'members\'')
            continue
        reader = Reader(value, problems, "a struct")
        reader.check_keys(("size", "members"), ("members",))
        found[str(name.value)] = LaidStruct(reader.integer("size"), _members(value.get("members"), problems))
    return found


def _members(node: Node | None, problems: Problems) -> dict[str, LaidMember]:
    found: dict[str, LaidMember] = {}
    if not isinstance(node, Mapping):
        if node is not None:
            problems.add(node, "bad-value", "'members' maps names to [OFFSET, TYPE]")
        return found
    for name, value in node.entries:
        items = [i.value for i in value.items if isinstance(i, Scalar)] if isinstance(value, Sequence) else []
        match items:
            case [int(offset), str(type_name)] if 0 <= offset < MAX_OFFSET:
                found[str(name.value)] = LaidMember(offset, type_name)
            case [int(offset), str(type_name), int(first), int(width)] if 0 <= offset < MAX_OFFSET and (
                0 <= first < 64 and 0 < width <= 64
            ):
                found[str(name.value)] = LaidMember(offset, type_name, (first, width))
            case _:
                problems.add(value, "bad-value", "a member is [OFFSET, TYPE], with [.., FIRST BIT, WIDTH] a bit field")
    return found


def _aliases(node: Node | None, problems: Problems) -> dict[str, str]:
    if node is None:
        return {}
    if not isinstance(node, Mapping):
        problems.add(node, "bad-value", "'aliases' maps typedefs to types")
        return {}
    reader = Reader(node, problems, "'aliases'")
    return {key: text for key in node.keys() if (text := reader.text(key)) is not None}  # noqa: SIM118 - not a dict
