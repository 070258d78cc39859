"""From types to layout tables: what `kbmatch layout extract` writes, and what the cache of debuginfo files keeps."""

from __future__ import annotations

from kbmatch.collectors.types.model import (
    Array,
    CType,
    Enum,
    Function,
    Integer,
    Member,
    Pointer,
    Struct,
    Void,
)
from kbmatch.engine.layout import LaidMember, LaidStruct

MAX_STRUCTS = 4096
_INTEGERS = {(1, True): "s8", (2, True): "s16", (4, True): "int", (8, True): "long",
             (1, False): "u8", (2, False): "u16", (4, False): "unsigned int", (8, False): "unsigned long"}  # fmt: skip


def laid_out(type_: Struct, name: str | None = None) -> dict[str, LaidStruct]:
    """The struct, and the unnamed structs inside it under made-up names, as layout tables by name.

    Members of anonymous structs and unions become the outer one's. Structs that it only names are not followed.
    """
    found: dict[str, LaidStruct] = {}
    _lay_out(type_, name or type_.name, found)
    return found


def _lay_out(type_: Struct, name: str, found: dict[str, LaidStruct]) -> None:
    if name in found or len(found) >= MAX_STRUCTS:
        return
    members: dict[str, LaidMember] = {}
    found[name] = LaidStruct(type_.known_size, members)
    for member in _flat(type_, 0, 0):
        declared = declaration(member.type, name, member.name, found)
        members.setdefault(member.name, LaidMember(member.offset, declared, member.bits))


def _flat(type_: Struct, offset: int, depth: int) -> list[Member]:
    members: list[Member] = []
    for member in type_.members:
        if member.name:
            members.append(Member(member.name, member.type, offset + member.offset, member.bits))
        elif isinstance(member.type, Struct) and depth < 16:
            members += _flat(member.type, offset + member.offset, depth + 1)
    return members


def declaration(type_: CType, outer: str, member: str, found: dict[str, LaidStruct]) -> str:
    """The type as C declares it. Unnamed structs are laid out into `found` under a name made of where they stand."""
    if isinstance(type_, Array):
        dimensions = ""
        while isinstance(type_, Array):
            dimensions += f"[{type_.count}]"
            type_ = type_.element
        return f"{declaration(type_, outer, member, found)} {dimensions}"
    if isinstance(type_, Pointer):
        target = type_.target
        if isinstance(target, Struct):
            return f"{target.name} *" if " " in target.name else "void *"
        if isinstance(target, (Array, Function)):
            return "void *"
        inner = declaration(target, outer, member, found)
        return f"{inner}*" if inner.endswith("*") else f"{inner} *"
    if isinstance(type_, Struct):
        if " " in type_.name:
            return type_.name
        made = f"{type_.name} {outer.rsplit(maxsplit=1)[-1]}__{member}"
        _lay_out(type_, made, found)
        return made
    if isinstance(type_, Integer):
        if type_.name in ("char", "_Bool", "bool"):
            return type_.name
        return _INTEGERS.get((type_.size, type_.signed), "void")
    if isinstance(type_, Enum):
        return _INTEGERS.get((type_.size, type_.signed), "int")
    return "void" if isinstance(type_, Void) else "function"
