"""What probes need to know of the crashed kernel: its symbols, its modules, its types, all read when first asked for.

Sources: include/linux/module.h (struct module: its list follows an enum, its name follows the list, since 2.6;
`kallsyms` since 4.5), kernel/bpf/btf.c (struct btf_module in the list btf_modules since 5.11; module.btf_data itself is
NULL once the module runs), include/linux/elf.h (Elf64_Sym), kernel/module/kallsyms.c.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from kbmatch.collectors.dump import Dump
from kbmatch.collectors.memory.memory import Memory
from kbmatch.collectors.types.btf import BadBtf, Btf
from kbmatch.collectors.types.catalogue import TypeSource
from kbmatch.collectors.types.model import CType, Pointer, Struct
from kbmatch.engine.errors import MemoryUnavailable

FIXED_SYMBOLS = (
    "modules", "__start_BTF", "__stop_BTF", "__per_cpu_offset", "net_namespace_list", "init_net", "__cpu_possible_mask",
    "nr_cpu_ids", "btf_modules",
)  # fmt: skip
MAX_MODULES = 4096
MAX_MODULE_SYMBOLS = 1 << 17
MAX_STRINGS = 8 << 20
MAX_BTF = 64 << 20
_LIST, _NAME, _NAME_LENGTH = 8, 24, 56


class KernelView:
    """The kernel of an open dump with memory.

    `told` are addresses known otherwise, such as that of the function that crashed.
    """

    def __init__(self, dump: Dump, memory: Memory, wanted: Iterable[str], told: dict[str, int] | None = None) -> None:
        self.memory = memory
        self._dump = dump
        self._wanted = tuple(dict.fromkeys((*FIXED_SYMBOLS, *wanted)))
        self._told = told or {}
        self._kernel: dict[str, int | None] = {}
        self._modules: dict[str, int] | None = None
        self._module_symbols: dict[str, dict[str, int]] = {}
        self._btf: Btf | None = None
        self._btf_read = False
        self._module_btf: dict[str, Btf | None] = {}

    def kernel_symbol(self, name: str) -> int | None:
        """The address of a symbol of the kernel proper; only of those that were announced as wanted."""
        if name not in self._kernel and name in self._wanted:
            symbols = self._dump.symbols
            # a pass over all symbols looks for all names at once; a search takes time by the name
            names = (name,) if symbols is not None and symbols.is_sorted else self._wanted
            found = self._dump.addresses(*names)
            self._kernel.update((name, found.get(name)) for name in names)
        return self._kernel.get(name)

    def symbols_of(self, *modules: str) -> ScopedSymbols:
        """The symbols that a probe of those modules sees: the first one's first."""
        return ScopedSymbols(self, modules)

    def told(self, name: str) -> int | None:
        """An address known otherwise than by the symbol tables."""
        return self._told.get(name)

    @property
    def modules(self) -> dict[str, int] | None:
        """Addresses of struct module by name (with "_"); None where the list cannot be read."""
        if self._modules is None:
            head = self.kernel_symbol("modules")
            if head is None:
                return None
            self._modules = self._read_modules(head)
        return self._modules

    def _read_modules(self, head: int) -> dict[str, int]:
        found: dict[str, int] = {}
        seen = {head}
        at = head
        while len(found) < MAX_MODULES:
            try:
                at = self.memory.read_u64(at)
                if at in seen:
                    break
                name = self.memory.read_c_string(at - _LIST + _NAME, _NAME_LENGTH)
            except MemoryUnavailable:
                break
            seen.add(at)
            found[name.decode("ascii", "replace").replace("-", "_")] = at - _LIST
        return found

    def module_symbols(self, module: str) -> dict[str, int]:
        """Addresses of a module's symbols, out of its symbol table in memory; empty where it cannot be read."""
        if module not in self._module_symbols:
            self._module_symbols[module] = self._read_module_symbols(module)
        return self._module_symbols[module]

    def _read_module_symbols(self, module: str) -> dict[str, int]:
        address = (self.modules or {}).get(module)
        types = self.kernel_btf() if address is not None else None
        if address is None or types is None:
            return {}
        try:
            table = self._pointer_member(types, "struct module", address, "kallsyms")
            layout = types.find("struct mod_kallsyms")
            if table is None or not isinstance(layout, Struct):
                return {}
            place = {name: member for name in ("symtab", "num_symtab", "strtab") if (member := layout.find(name))}
            if len(place) != 3:
                return {}
            memory = self.memory
            symtab = memory.read_u64(table + place["symtab"].offset)
            count = min(memory.read_u32(table + place["num_symtab"].offset), MAX_MODULE_SYMBOLS)
            strtab = memory.read_u64(table + place["strtab"].offset)
            entries = list(struct.iter_unpack("<IBBHQQ", memory.read(symtab, 24 * count)))
            return self._named(entries, strtab)
        except MemoryUnavailable:
            return {}

    def _named(self, entries: list[tuple[int, ...]], strtab: int) -> dict[str, int]:
        end = max((entry[0] for entry in entries), default=0)
        if end > MAX_STRINGS:
            return {}
        strings = self.memory.read(strtab, end) + self.memory.read_c_string(strtab + end, 512) + b"\0"
        found: dict[str, int] = {}
        for name, _, _, section, value, _ in entries:
            if name and section:
                found.setdefault(strings[name : strings.find(b"\0", name)].decode("ascii", "replace"), value)
        return found

    def _pointer_member(self, types: TypeSource, struct_name: str, address: int, name: str) -> int | None:
        layout = types.find(struct_name)
        member = layout.find(name) if isinstance(layout, Struct) else None
        if member is None or not isinstance(member.type, Pointer):
            return None
        return self.memory.read_u64(address + member.offset) or None

    def kernel_btf(self) -> Btf | None:
        """The kernel's own BTF in its memory, None where it has none or the dump left it out."""
        if not self._btf_read:
            self._btf_read = True
            start, end = self.kernel_symbol("__start_BTF"), self.kernel_symbol("__stop_BTF")
            if start is not None and end is not None and 0 < end - start <= MAX_BTF:
                self._btf = self._read_btf(start, end - start, None, "BTF of the kernel in the dump")
        return self._btf

    def _read_btf(self, address: int, length: int, base: Btf | None, label: str) -> Btf | None:
        try:
            return Btf(self.memory.read(address, length), base, label)
        except (MemoryUnavailable, BadBtf):
            return None

    def module_btf(self, module: str) -> Btf | None:
        """A module's own BTF in its memory, None where it has none."""
        if module not in self._module_btf:
            self._module_btf[module] = self._read_module_btf(module)
        return self._module_btf[module]

    def _read_module_btf(self, module: str) -> Btf | None:
        address, head = (self.modules or {}).get(module), self.kernel_symbol("btf_modules")
        base = self.kernel_btf() if address is not None and head is not None else None
        if base is None or address is None or head is None:
            return None
        entry, btf = base.find("struct btf_module"), base.find("struct btf")
        if not isinstance(entry, Struct) or not isinstance(btf, Struct):
            return None
        places = [entry.find(name) for name in ("list", "module", "btf")] + [btf.find("data"), btf.find("data_size")]
        listed, of, its, data, size = (place.offset if place is not None else -1 for place in places)
        if min(listed, of, its, data, size) < 0:
            return None
        at, seen = head, {head}
        try:
            while (at := self.memory.read_u64(at)) not in seen and len(seen) < MAX_MODULES:
                seen.add(at)
                if self.memory.read_u64(at - listed + of) == address:
                    found = self.memory.read_u64(at - listed + its)
                    start, length = self.memory.read_u64(found + data), self.memory.read_u32(found + size)
                    if not 0 < length <= MAX_BTF:
                        return None
                    return self._read_btf(start, length, base, f"BTF of {module} in the dump")
        except MemoryUnavailable:
            return None
        return None


class ScopedSymbols:
    """Symbols as a module's probe sees them: the module's, those it uses, the kernel's, then what was told."""

    def __init__(self, view: KernelView, modules: Iterable[str]) -> None:
        self._view = view
        self._modules = tuple(name for name in modules if name)

    def address(self, name: str) -> int | None:
        """See evaluator.Symbols."""
        for module in self._modules:
            own = self._view.module_symbols(module).get(name)
            if own is not None:
                return own
        found = self._view.kernel_symbol(name)
        return found if found is not None else self._view.told(name)

    def per_cpu_offset(self, cpu: int) -> int | None:
        """See evaluator.Symbols."""
        table = self._view.kernel_symbol("__per_cpu_offset")
        if table is None or not 0 <= cpu < 8192:
            return None
        try:
            return self._view.memory.read_u64(table + 8 * cpu)
        except MemoryUnavailable:
            return None


class LazyBtf:
    """A TypeSource that reads the BTF only when a type is asked for."""

    def __init__(self, view: KernelView, module: str) -> None:
        self._view = view
        self._module = module
        self.label = f"BTF of {module or 'the kernel'} in the dump"

    def find(self, name: str) -> CType | None:
        """See TypeSource."""
        btf = (self._view.module_btf(self._module) if self._module else None) or self._view.kernel_btf()
        return None if btf is None else btf.find(name)
