"""Runs the probes that apply to a dump: types, roots, records, each probe within its own budget."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kbmatch.collectors.dump import Dump
from kbmatch.collectors.memory.memory import Memory
from kbmatch.collectors.probes.evaluator import Budget, Evaluator
from kbmatch.collectors.probes.exception_frame import find_exception_frame
from kbmatch.collectors.probes.kernel_view import KernelView, LazyBtf
from kbmatch.collectors.probes.records import read_record
from kbmatch.collectors.probes.roots import Found, find_records
from kbmatch.collectors.probes.value import NOT_IN_DUMP, Unknown
from kbmatch.collectors.types.catalogue import TypeCatalogue, TypeSource, UnknownType
from kbmatch.collectors.types.laid_out import LayoutTypes, ProbeLayouts
from kbmatch.collectors.types.model import Struct
from kbmatch.engine.errors import MemoryUnavailable
from kbmatch.engine.incident import Note, ProbeState, StateRecord
from kbmatch.engine.probe import Probe, ProbeHead, ProbeSource
from kbmatch.engine.signature import Signature
from kbmatch.engine.values import dataclass, field, replace

if TYPE_CHECKING:
    from kbmatch.collectors.types.debuginfo import DebugInfo

ORIGIN = "memory"
NOTHING = "no record was found"
LACKING = "the types are not known"


@dataclass(slots=True)
class ProbeRun:
    """What the probes found: state by probe id, the events with what the stack adds to them, notes.

    `lacking` are the probes that could not be run for want of types.
    """

    events: tuple[Signature, ...]
    state: dict[str, ProbeState] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)
    lacking: frozenset[str] = frozenset()


def run_probes(
    dump: Dump,
    memory: Memory,
    source: ProbeSource,
    events: tuple[Signature, ...],
    debuginfo: DebugInfo | None = None,
) -> ProbeRun:
    """Run every probe that applies: its module is loaded or built in, and its kind of crash happened.

    `debuginfo` has the types of files that the user named. Never raises.
    """
    run = ProbeRun(events)
    fatal = next((e for e in events if e.fatal), events[0] if events else None)
    kinds = {event.kind for event in events}
    stood = {event.symbol for event in events}
    heads = [
        head
        for head in source.probe_heads()
        if (not head.kinds or kinds & set(head.kinds)) and (not head.functions or stood & set(head.functions))
    ]
    if not heads:
        return run
    told: dict[str, int] = {}
    if fatal is not None:
        frame = find_exception_frame(memory, fatal)
        if frame is not None:
            fatal = replace(fatal, registers={**fatal.registers, "rip": frame.rip})
            run.events = tuple(fatal if e.fatal else e for e in events)
        told = _told(fatal)
    view = KernelView(dump, memory, sorted({name for head in heads for name in head.symbols}), told)
    shown = _first_words(events)
    for head in heads:
        if (
            _applies(head, view, fatal, shown)
            and not _is_empty(head, view)
            and (probe := source.probe(head.id)) is not None
        ):
            state = _run(probe, dump, view, source, fatal, debuginfo)
            if not state.records and state.why == NOTHING:
                continue  # a driver that is built in but has no device is no news
            run.state[probe.id] = state
            if not state.records and (state.why or "").startswith(LACKING):
                run.lacking |= {probe.id}
    if debuginfo is not None:
        run.events = tuple(_with_line(event, dump, debuginfo) for event in run.events)
        debuginfo.save()
        run.notes += [Note("warning", text) for text in debuginfo.problems]
    return run


def _told(event: Signature) -> dict[str, int]:
    """The address of the function that crashed, by the raw instruction pointer and the offset that the log shows."""
    rip, printed = event.registers.get("rip") or event.registers.get("pc"), event.printed or ""
    name = printed.split("+", 1)[0]
    if rip is None or event.offset is None or event.symbol is None or rip >> 63 == 0:
        return {}
    # a piece that the compiler split off (.cold, .part) lies elsewhere
    return {event.symbol: rip - event.offset} if name in (event.symbol, "") or name.startswith("__dta_") else {}


def _with_line(event: Signature, dump: Dump, debuginfo: DebugInfo) -> Signature:
    """The event with its source line by DWARF, where the log shows none."""
    name = (event.printed or "").split("+", 1)[0]
    if event.source_line is not None or event.module is None or event.offset is None or not name:
        return event
    line = debuginfo.source_line(event.module, dump.kernel, name, event.offset)
    return event if line is None else replace(event, source_line=line)


def _applies(probe: ProbeHead, view: KernelView, event: Signature | None, shown: frozenset[str]) -> bool:
    if not probe.module:
        return True
    modules = view.modules
    if modules is not None and probe.module in modules:
        return True
    if modules is None and event is not None:
        return probe.module in {event.module, *(frame.module for frame in event.trace)}
    # Built in? Only asked of drivers whose functions the crash shows: each name costs a search of the symbol table.
    return any(_first_word(name) in shown and view.kernel_symbol(name) is not None for name in probe.guards)


def _first_word(symbol: str) -> str:
    """What a driver's names begin with: "xennet" of xennet_poll."""
    return symbol.lstrip("_").partition("_")[0]


def _first_words(events: Sequence[Signature]) -> frozenset[str]:
    """The first words of all functions that the events show."""
    frames = [f for e in events for trace in (e.trace, *(task.trace for task in e.tasks)) for f in trace]
    return frozenset(_first_word(name) for name in (*(e.symbol or "" for e in events), *(f.symbol for f in frames)))


def _is_empty(head: ProbeHead, view: KernelView) -> bool:
    """Whether all lists that the probe's walks begin with are empty: then no types need to be read."""
    symbols = view.symbols_of(head.module)
    for name in head.lists:
        address = symbols.address(name)
        try:
            if address is None or view.memory.read_u64(address) != address:
                return False
        except MemoryUnavailable:
            return False
    return bool(head.lists)


def _run(
    probe: Probe,
    dump: Dump,
    view: KernelView,
    source: ProbeSource,
    event: Signature | None,
    debuginfo: DebugInfo | None,
) -> ProbeState:
    types = _catalogue(probe, dump, view, source, debuginfo)
    try:
        record_type = types.resolve(probe.type_name)
    except UnknownType:
        record_type = None
    if not isinstance(record_type, Struct):
        return ProbeState(False, ORIGIN, (), _lacking(probe, dump))
    evaluator = Evaluator(types, view.memory, view.symbols_of(probe.module, *probe.uses), Budget())
    found = find_records(probe, evaluator, event.registers if event else {}, dump.kernel.arch or "x86_64")
    records: list[StateRecord] = []
    try:
        for address in found.records:
            records.append(read_record(probe, evaluator, address))  # noqa: PERF401 - what was read before is kept
    except Unknown as error:
        found.gaps[str(error)] = None
    return _state(probe, found, records, event)


def _state(probe: Probe, found: Found, records: list[StateRecord], event: Signature | None) -> ProbeState:
    """Complete if a walk saw everything, or if the record is surely the one that the crashed context worked on."""
    crashed = {register: address for address, register in found.crashed}
    in_module = event is not None and bool(probe.module) and event.module == probe.module
    proved = len(set(crashed.values())) == 1 and in_module
    whole = len(records) == len(found.records) and bool(records)
    complete = whole and (found.walked or proved)
    missing = dict.fromkeys(
        f"{name}: {why}" for record in records for name, why in record.missing.items() if NOT_IN_DUMP in why
    )
    said = [*missing]
    if not complete:
        said += found.gaps or ([NOTHING] if not records else ["not all records were found"])
    elif not found.walked:
        said.append(f"the one that register {next(iter(crashed))} of the crash points to")
    return ProbeState(complete, ORIGIN, tuple(records), "; ".join(said[:4]) or None)


def _catalogue(
    probe: Probe,
    dump: Dump,
    view: KernelView,
    source: ProbeSource,
    debuginfo: DebugInfo | None,
) -> TypeCatalogue:
    """Types from the first of: BTF in the dump, files that the user named, layouts of this kernel, the probe's own."""
    catalogue: TypeCatalogue
    kernel = dump.kernel
    sources: list[TypeSource] = [LazyBtf(view, module) for module in (probe.module, *probe.uses)]
    if debuginfo is not None:
        for module in (probe.module, *probe.uses):
            sources += debuginfo.sources(module, kernel)
    sources += [
        LayoutTypes(layout, lambda: catalogue)
        for layout in source.layouts()
        if layout.fits(kernel.release, kernel.build_id)
    ]
    sources.append(ProbeLayouts(probe.layouts, lambda: catalogue))
    catalogue = TypeCatalogue(sources)
    return catalogue


def _lacking(probe: Probe, dump: Dump) -> str:
    release = dump.kernel.release or "this kernel"
    file = f"{probe.module.replace('_', '-')}.ko.debug" if probe.module else "vmlinux"
    return f"{LACKING} ({probe.type_name}): --debuginfo with {file} of {release} would help"
