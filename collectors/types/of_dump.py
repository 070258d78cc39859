"""One struct of an open dump, printed: what `kbmatch struct` shows."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence

from kbmatch.collectors.dump import Dump
from kbmatch.collectors.memory.memory import Memory
from kbmatch.collectors.probes.kernel_view import KernelView, LazyBtf
from kbmatch.collectors.types.catalogue import TypeCatalogue, TypeSource, UnknownType
from kbmatch.collectors.types.debuginfo import DebugInfo
from kbmatch.collectors.types.laid_out import LayoutTypes
from kbmatch.collectors.types.model import Array, Struct
from kbmatch.collectors.types.printing import MAX_BYTES, Printer
from kbmatch.engine.errors import DamagedDump, InputError, MemoryUnavailable
from kbmatch.engine.layout import Layout

_NEAR = 1 << 16
_WHAT = re.compile(r"(?P<type>(?:(?:struct|union) )?[A-Za-z_]\w*)(?P<path>(?:\.\w+)*)")


class NothingToPrint(InputError):
    """The type, the member or the address is not known; the text says what would help."""


def struct_lines(
    dump: Dump, what: str, where: str, layouts: Sequence[Layout], debuginfo: DebugInfo | None
) -> Iterator[str]:
    """The struct `what` ("struct x", "struct x.member") at `where` (hexadecimal, or a symbol), as crash prints it.

    Raises NothingToPrint, DamagedDump.
    """
    if dump.memory is None:
        raise DamagedDump(f"{dump.name}: no memory to read: the kernel was not found in it")
    found = _WHAT.fullmatch(" ".join(what.split()))
    if found is None:
        raise NothingToPrint(f'{what!r} is no type; write "struct x" or "struct x.member"')
    view = KernelView(dump, dump.memory, [where])
    address = _address(view, dump.memory, where)
    types, type_ = _find(view, dump, found["type"], layouts, debuginfo)
    if not isinstance(type_, Struct):
        release = dump.kernel.release or "this kernel"
        raise NothingToPrint(
            f"{found['type']}: no such struct in the types of {release}; --debuginfo FILE brings others"
        )
    names = [name for name in found["path"].split(".") if name]
    printer = Printer(types, dump.memory.read, _namer(dump, view))
    if not names:
        if type_.size > MAX_BYTES:
            raise NothingToPrint(f"{type_.name} has {type_.size} bytes; name a member")
        yield from printer.struct(type_, address)
        return
    yield from _member_lines(printer, types, type_, names, address)


def _member_lines(
    printer: Printer, types: TypeCatalogue, type_: Struct, names: list[str], address: int
) -> Iterator[str]:
    for number, name in enumerate(names):
        member = type_.find(name)
        if member is None:
            raise NothingToPrint(f"{type_.name} has no member {name}")
        if number + 1 == len(names):
            yield from printer.member(member, address)
            return
        inner = types.complete(member.type)
        if not isinstance(inner, Struct):
            kind = "an array" if isinstance(inner, Array) else "no struct"
            raise NothingToPrint(f"{type_.name}.{name} is {kind}")
        type_, address = inner, address + member.offset


def _address(view: KernelView, memory: Memory, where: str) -> int:
    symbol = view.kernel_symbol(where)
    if symbol is None:
        for module in view.modules or {}:
            symbol = view.module_symbols(module).get(where)
            if symbol is not None:
                break
    if symbol is None:
        try:
            symbol = int(where, 16)
        except ValueError:
            raise NothingToPrint(f"{where!r} is neither a hexadecimal address nor a known symbol") from None
    try:
        memory.read(symbol, 1)
    except MemoryUnavailable as error:
        raise NothingToPrint(f"{error}") from error
    return symbol


def _find(
    view: KernelView, dump: Dump, name: str, layouts: Sequence[Layout], debuginfo: DebugInfo | None
) -> tuple[TypeCatalogue, object]:
    """The type and the catalogue that knows it: of the kernel, else of a module's own BTF."""
    names = [name] if " " in name else [f"struct {name}", f"union {name}", name]
    for module in ("", *(view.modules or {})):
        catalogue: TypeCatalogue
        sources: list[TypeSource] = [LazyBtf(view, module)]
        if not module:
            sources += debuginfo.sources("", dump.kernel) if debuginfo is not None else []
            fitting = [layout for layout in layouts if layout.fits(dump.kernel.release, dump.kernel.build_id)]
            sources += [LayoutTypes(layout, lambda: catalogue) for layout in fitting]  # noqa: B023
        catalogue = TypeCatalogue(sources)
        for candidate in names:
            try:
                found = catalogue.resolve(candidate)
            except UnknownType:
                continue
            if isinstance(found, Struct) and found.members:
                return catalogue, found
    return TypeCatalogue(()), None


def _namer(dump: Dump, view: KernelView) -> Callable[[int], str | None]:
    """Names for addresses of functions, and of whatever a module's symbols cover."""
    symbols = dump.symbols
    modules: list[tuple[int, str]] = []

    def in_module(address: int) -> str | None:
        if not modules:
            for module in view.modules or {}:
                modules.extend((at, name) for name, at in view.module_symbols(module).items())
            modules.sort()
            modules.append(((1 << 64) - 1, ""))
        index = bisect_right(modules, (address, "\uffff")) - 1
        if index < 0 or address - modules[index][0] >= _NEAR:
            return None
        at, name = modules[index]
        return name + (f"+{address - at}" if address > at else "")

    def name(address: int) -> str | None:
        if symbols is None or address >> 31 != (1 << 33) - 1:
            return None
        try:
            found = symbols.lookup(address, data=True)
        except (MemoryUnavailable, DamagedDump):
            return None
        if found is None or found[1] >= found[2] or found[1] >= _NEAR:
            return in_module(address)
        return found[0] + (f"+{found[1]}" if found[1] else "")

    return name
