"""Types from the DWARF of a debuginfo file, by pyelftools: one struct at a time, never a pass over a whole vmlinux.

In a module's file the top-level names are indexed by one walk (some 40 ms). In a large file a struct is found by its
name's place in .debug_str: the bytes of .debug_info are searched for that reference, and what stands before it must be
the abbreviation of a struct whose first attribute is its name, as GCC and clang write it.

Sources: DWARF 5 standard, 5.7 (struct, union), 5.5 (array), 7.5.4 (abbreviations); System V ABI x86-64 and AArch64
supplements for the relocations R_X86_64_32, _64, R_AARCH64_ABS32, _ABS64.
"""

from __future__ import annotations

import re
import struct
from bisect import bisect_right
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from kbmatch.collectors.types.model import VOID, Array, CType, Enum, Function, Integer, Member, Pointer, Struct

INDEXED = 16 << 20
"""Up to this size of .debug_info all top-level names are indexed."""
MAX_CANDIDATES = 20_000
WALKED_UNITS = 12
"""Units of a large file whose names are indexed, for names that have no place of their own in .debug_str."""
MAX_ELEMENTS = 1 << 24
_STRUCTS = {"DW_TAG_structure_type": "struct", "DW_TAG_union_type": "union", "DW_TAG_class_type": "struct"}
_NAMED = {**_STRUCTS, "DW_TAG_enumeration_type": "enum", "DW_TAG_typedef": "", "DW_TAG_base_type": ""}
_INSIDE = frozenset({"DW_TAG_member", "DW_TAG_enumerator", *_NAMED})
_TRANSPARENT = frozenset(
    {"DW_TAG_typedef", "DW_TAG_const_type", "DW_TAG_volatile_type", "DW_TAG_restrict_type", "DW_TAG_atomic_type"}
)
_SIGNED = frozenset({5, 6, 13})  # DW_ATE_signed, _signed_char, _signed_fixed
_RELOCATIONS = {62: {10: 4, 1: 8}, 183: {258: 4, 257: 8}}  # machine -> type -> width
_MAX_CHAIN = 64


class BadDebugInfo(Exception):
    """The file holds no DWARF that can be read; the text says why."""


class DwarfTypes:
    """The types of one open ELF file with DWARF. Raises BadDebugInfo."""

    def __init__(self, elf: Any, path: Path) -> None:
        self.label = f"DWARF of {path.name}"
        try:
            if not elf.has_dwarf_info(True):
                raise BadDebugInfo(f"{path}: no DWARF in it (is it stripped?)")
            self._dwarf = elf.get_dwarf_info(relocate_dwarf_sections=False, follow_links=False)
            if elf["e_type"] == "ET_REL":
                _relocate(elf, self._dwarf)
            self._info: memoryview = self._dwarf.debug_info_sec.stream.getbuffer()
        except BadDebugInfo:
            raise
        except Exception as error:  # pyelftools raises many kinds on damaged files
            raise BadDebugInfo(f"{path}: its DWARF cannot be read: {error}") from error
        self._index: dict[str, Any] | None = None
        self._units: list[Any] | None = None
        self._starts: list[int] = []
        self._walked: dict[int, dict[str, Any]] = {}
        self._types: dict[int, CType] = {}

    def find(self, name: str) -> CType | None:
        """See TypeSource."""
        try:
            if len(self._info) <= INDEXED:
                if self._index is None:
                    self._index = self._walk()
                die = self._index.get(name)
            else:
                die = next(self._searched(name), None)
            return None if die is None else self._convert(die)
        except Exception:
            return None

    def source_line(self, address: int) -> str | None:
        """ "file:line" of an address in the file's own address space, None where the line table does not tell."""
        try:
            return next(filter(None, (self._line(unit, address) for unit in self._units_of(address))), None)
        except Exception:
            return None

    def _walk(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for unit in self._dwarf.iter_CUs():
            for name, die in _definitions(unit):
                found.setdefault(name, die)
        return found

    def _searched(self, name: str) -> Iterator[Any]:
        keyword, _, plain = name.rpartition(" ")
        if keyword not in ("struct", "union", "enum", ""):
            return
        strings = self._dwarf.debug_str_sec.stream.getvalue()
        whole = strings.find(b"\0" + plain.encode() + b"\0")
        if whole >= 0:
            for found in islice(re.finditer(re.escape(struct.pack("<I", whole + 1)), self._info), MAX_CANDIDATES):
                die = self._entry_before(found.start(), name)
                if die is not None:
                    yield die
        # The linker lets a string be the tail of another, and short names stand in the entries: such a name has no
        # place of its own to look for. What is common in a kernel is in the first units that include its headers.
        for number, unit in enumerate(self._dwarf.iter_CUs()):
            if number >= WALKED_UNITS:
                return
            if number not in self._walked:
                self._walked[number] = dict(_definitions(unit))
            if name in self._walked[number]:
                yield self._walked[number][name]

    def _entry_before(self, at: int, name: str) -> Any:
        """The entry whose first attribute is at this offset, if it defines the name."""
        for start in (at - 1, at - 2):
            if start < 0 or (start == at - 2 and not self._info[start] & 0x80):
                continue
            try:
                unit = self._unit_at(start)
                code = self._info[start] if start == at - 1 else self._info[start] & 0x7F | self._info[start + 1] << 7
                tag = unit.get_abbrev_table().get_abbrev(code)["tag"]
                if tag not in _NAMED:
                    continue
                die = unit.get_DIE_from_refaddr(start)
            except Exception:  # noqa: S112 - bytes that are no entry
                continue
            if _qualified(die) == name and self._is_definition(die, at):
                return die
        return None

    def _unit_at(self, offset: int) -> Any:
        if self._units is None:
            self._units = list(self._dwarf.iter_CUs())
            self._starts = [unit.cu_offset for unit in self._units]
        return self._units[bisect_right(self._starts, offset) - 1]

    @staticmethod
    def _is_definition(die: Any, at: int) -> bool:
        """Whether it is an entry, not bytes that look like one: its name stands there, its children are members."""
        if "DW_AT_declaration" in die.attributes or die.attributes["DW_AT_name"].offset != at:
            return False
        try:
            if not all(child.tag in _INSIDE for child in die.iter_children()):
                return False
            # sure is only what the unit's own chain of entries leads to
            for entry in die.cu.get_top_DIE().iter_children():
                if entry.offset >= at - 2:
                    return bool(entry.offset == die.offset)
            return False
        except Exception:
            return False

    def _convert(self, die: Any) -> CType:
        """The type of an entry; typedefs and qualifiers are resolved away."""
        for _ in range(_MAX_CHAIN):
            if die.offset in self._types:
                return self._types[die.offset]
            if die.tag not in _TRANSPARENT:
                found = self._types[die.offset] = self._make(die)
                return found
            if "DW_AT_type" not in die.attributes:
                return VOID
            die = die.get_DIE_from_attribute("DW_AT_type")
        return VOID

    def _make(self, die: Any) -> CType:
        tag, size = die.tag, _number(die, "DW_AT_byte_size")
        if tag == "DW_TAG_base_type":
            return Integer(_name(die), size or 0, _number(die, "DW_AT_encoding") in _SIGNED)
        if tag == "DW_TAG_pointer_type":
            return Pointer(lambda: self._target(die))
        if tag in _STRUCTS:
            name = f"{_STRUCTS[tag]} {_name(die)}".rstrip()
            if "DW_AT_declaration" in die.attributes:
                return Struct(name, None, tuple)
            return Struct(name, size or 0, lambda: self._safe_members(die))
        if tag == "DW_TAG_array_type":
            return self._array(die)
        if tag == "DW_TAG_enumeration_type":
            values = {
                _number(child, "DW_AT_const_value") or 0: _name(child)
                for child in die.iter_children()
                if child.tag == "DW_TAG_enumerator"
            }
            return Enum(f"enum {_name(die)}".rstrip(), size or 4, any(v < 0 for v in values), values)
        if tag == "DW_TAG_subroutine_type":
            return Function()
        return VOID

    def _target(self, die: Any) -> CType:
        if "DW_AT_type" not in die.attributes:
            return VOID
        try:
            return self._convert(die.get_DIE_from_attribute("DW_AT_type"))
        except Exception:
            return VOID

    def _array(self, die: Any) -> CType:
        type_ = self._target(die)
        for child in reversed([c for c in die.iter_children() if c.tag == "DW_TAG_subrange_type"]):
            count = _number(child, "DW_AT_count")
            if count is None:
                upper = _number(child, "DW_AT_upper_bound")
                count = 0 if upper is None else upper + 1
            type_ = Array(type_, max(0, min(count, MAX_ELEMENTS)))
        return type_

    def _safe_members(self, die: Any) -> tuple[Member, ...]:
        """The members as far as they can be read."""
        found: list[Member] = []
        try:
            found.extend(self._members(die))
        except Exception:
            return tuple(found)
        return tuple(found)

    def _members(self, die: Any) -> Iterator[Member]:
        for child in die.iter_children():
            if child.tag != "DW_TAG_member":
                continue
            type_, offset = self._target(child), _number(child, "DW_AT_data_member_location") or 0
            width = _number(child, "DW_AT_bit_size")
            if width is None:
                yield Member(_name(child), type_, offset)
                continue
            first = _number(child, "DW_AT_data_bit_offset")
            if first is None:  # DWARF 2 and 3 count from the storage unit's other end
                storage = 8 * (_number(child, "DW_AT_byte_size") or type_.size)
                first = 8 * offset + storage - (_number(child, "DW_AT_bit_offset") or 0) - width
            yield Member(_name(child), type_, first // 8, (first % 8, width))

    def _units_of(self, address: int) -> Iterator[Any]:
        """The compilation units that may hold an address: the one that the index names, else all of a small file."""
        if len(self._info) <= INDEXED:
            yield from self._dwarf.iter_CUs()
            return
        ranges = self._dwarf.get_aranges()
        offset = ranges.cu_offset_at_addr(address) if ranges is not None else None
        if offset is not None:
            yield self._dwarf.get_CU_at(offset)

    def _line(self, unit: Any, address: int) -> str | None:
        program: Any = self._dwarf.line_program_for_CU(unit)
        before = None
        if program is None:
            return None
        for entry in program.get_entries():
            state = entry.state
            if state is None:
                continue
            if before is not None and before.address <= address < state.address and not before.end_sequence:
                return f"{_file_name(program.header, before.file)}:{before.line}"
            before = state
        return None


def _file_name(header: Any, number: int) -> str:
    """The path as the build wrote it, relative to the source tree where it is: DWARF 5 standard, 6.2.4."""
    first = 0 if header["version"] >= 5 else 1
    entry = header["file_entry"][number - first]
    name: str = entry.name.decode("utf-8", "replace")
    if entry.dir_index:
        folders = header["include_directory"]
        folder = folders[entry.dir_index - first]
        text = folder.decode("utf-8", "replace") if isinstance(folder, bytes) else str(folder)
        name = name if name.startswith("/") else f"{text}/{name}"
    return name.removeprefix("./")


def _definitions(unit: Any) -> Iterator[tuple[str, Any]]:
    """The named types that a compilation unit defines at its top level."""
    for die in unit.get_top_DIE().iter_children():
        name = _qualified(die)
        if name is not None and "DW_AT_declaration" not in die.attributes:
            yield name, die


def _relocate(elf: Any, dwarf: Any) -> None:
    """Put the addends in: in a module's file every reference to another debug section is a relocation."""
    widths = _RELOCATIONS.get(elf.header["e_machine"] if isinstance(elf.header["e_machine"], int) else {
        "EM_X86_64": 62, "EM_AARCH64": 183}.get(elf.header["e_machine"], 0), {})  # fmt: skip
    symbols = elf.get_section_by_name(".symtab")
    values = [entry[4] for entry in struct.iter_unpack("<IBBHQQ", symbols.data())] if symbols is not None else []
    for name, section in ((".debug_info", dwarf.debug_info_sec), (".debug_line", dwarf.debug_line_sec)):
        table = elf.get_section_by_name(f".rela{name}")
        if table is None or section is None:
            continue
        buffer = section.stream.getbuffer()
        for offset, info, addend in struct.iter_unpack("<QQq", table.data()):
            width = widths.get(info & 0xFFFFFFFF)
            number = info >> 32
            if width is not None and offset + width <= len(buffer) and number < len(values):
                value = values[number] + addend & (1 << 8 * width) - 1
                buffer[offset : offset + width] = value.to_bytes(width, "little")


def _name(die: Any) -> str:
    attribute = die.attributes.get("DW_AT_name")
    return attribute.value.decode("utf-8", "replace") if attribute is not None else ""


def _qualified(die: Any) -> str | None:
    if die.tag not in _NAMED or "DW_AT_name" not in die.attributes:
        return None
    return f"{_NAMED[die.tag]} {_name(die)}".lstrip()


def _number(die: Any, attribute: str) -> int | None:
    found = die.attributes.get(attribute)
    if found is None:
        return None
    value = found.value
    if isinstance(value, list):  # DWARF 2: an expression, DW_OP_plus_uconst with the offset as ULEB128
        result = 0
        for shift, byte in enumerate(value[1:]):
            result |= (byte & 0x7F) << 7 * shift
        return result
    return int(value) if isinstance(value, int) else None
