"""Writes layout files: struct offsets out of a debuginfo file, in the form that kb/store/layouts.py reads."""

from __future__ import annotations

import json
from collections.abc import Sequence

from kbmatch.collectors.types.debuginfo import FileTypes
from kbmatch.collectors.types.extraction import laid_out
from kbmatch.collectors.types.model import Array, Struct
from kbmatch.engine.errors import InputError
from kbmatch.engine.layout import LaidStruct, Layout


class CannotExtract(InputError):
    """A struct is not in the file, or it is not known for which kernel the file is."""


def layout_of(file: FileTypes, names: Sequence[str], layout_id: str | None, release: str | None) -> Layout:
    """The layout of the named structs and of those that lie inside them. Raises CannotExtract."""
    release = release or file.release
    if not release and not file.build_id:
        raise CannotExtract(f"{file.path}: it does not tell for which kernel it is; say --release")
    structs: dict[str, LaidStruct] = {}
    for name in names:
        wanted = [name] if " " in name else [f"struct {name}", f"union {name}"]
        found = next((t for w in wanted if isinstance(t := file.find(w), Struct)), None)
        if found is None:
            raise CannotExtract(f"{file.path}: no {wanted[0]} in its types")
        structs.update(laid_out(found))
        _embedded(file, found, structs)
    made = f"{file.module or 'vmlinux'}-{release or file.build_id[:12]}".replace("_", "-")
    return Layout(
        id=layout_id or made,
        source=f"{file.path.name}, build id {file.build_id or 'unknown'}",
        releases=(release,) if release else (),
        build_ids=(file.build_id,) if not file.module and file.build_id else (),
        structs=structs,
    )


def _embedded(file: FileTypes, type_: Struct, structs: dict[str, LaidStruct]) -> None:
    """Add the structs that a struct holds; those it only points to are not needed."""
    waiting = [type_]
    while waiting:
        for member in waiting.pop().members:
            inner = member.type
            while isinstance(inner, Array):
                inner = inner.element
            if isinstance(inner, Struct) and inner.name not in structs:
                structs.update(laid_out(inner))
                waiting.append(inner)


def layout_text(layout: Layout) -> str:
    """The YAML of a layout file, members by offset."""
    lines = [
        "# yaml-language-server: $schema=../schema/layout.schema.json",
        "format: 1",
        f"id: {layout.id}",
    ]
    if layout.releases:
        lines.append(f"releases: {_listed(layout.releases)}")
    if layout.build_ids:
        lines.append(f"build-ids: {_listed(layout.build_ids)}")
    lines += [f"source: {json.dumps(layout.source)}", "structs:"]
    for name, laid in layout.structs.items():
        lines.append(f"  {name}:")
        if laid.size is not None:
            lines.append(f"    size: {laid.size}")
        lines.append("    members:" if laid.members else "    members: {}")
        for member, place in sorted(laid.members.items(), key=lambda item: item[1].offset):
            bits = f", {place.bits[0]}, {place.bits[1]}" if place.bits else ""
            lines.append(f"      {json.dumps(member)}: [{place.offset}, {json.dumps(place.type_name)}{bits}]")
    return "\n".join(lines) + "\n"


def _listed(items: Sequence[str]) -> str:
    return f"[{', '.join(json.dumps(item) for item in items)}]"
