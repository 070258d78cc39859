"""Collect: from what the user names - a file, pieces of a dump, a folder, standard input - to an Incident."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, NoReturn, cast

from kbmatch.collectors.containers.identify import identify as identify_dump
from kbmatch.collectors.containers.source import ByteSource, SourceStream
from kbmatch.collectors.identify import HEAD_BYTES, describe_binary, identify
from kbmatch.engine.errors import InputError, KbmatchError, NotACrashFile, UnreadableInput, UnsupportedFormat
from kbmatch.engine.incident import Incident, Kernel, Machine, Note, Source
from kbmatch.engine.values import dataclass, replace

if TYPE_CHECKING:  # neither dumps nor probes are imported for a log
    from kbmatch.collectors.containers.unpack import Progress
    from kbmatch.collectors.dump import Dump
    from kbmatch.collectors.logs.reading import LogReading
    from kbmatch.collectors.types.debuginfo import DebugInfo
    from kbmatch.engine.incident import ProbeState
    from kbmatch.engine.layout import Layout
    from kbmatch.engine.probe import Probe, ProbeHead, ProbeSource
    from kbmatch.engine.signature import Signature

STDIN = "-"
TEXTS = ("console", "transcript", "freeze")
WHOLE_TEXT = 64 << 20
"""A console log up to this size is read at once; a larger one, an archive, as a stream."""


@dataclass(frozen=True, slots=True)
class CollectOptions:
    """What the user overrules, limits and wants to be told.

    `kaslr` and `phys_base` are offsets in bytes, `vmcoreinfo` is the note's text. `max_unpacked` limits what a
    compressed input may grow to (bytes; None: twice the memory); `progress` is told of it. `debuginfo` has the types
    of files that the user named, or allowed to fetch. `keep_log` is handed the text in which an event's `line` counts
    (a log as it lies in the file, unpacked; a session; of a dump its log as dmesg prints it); it is not called where
    there is none: a signature file, an archive beyond WHOLE_TEXT. `kernel` is the release that crashed, perhaps with
    its version ("6.1.0-18-amd64 #1 SMP ..."), for inputs that do not say.
    """

    kaslr: int | None = None
    phys_base: int | None = None
    vmcoreinfo: bytes | None = None
    max_unpacked: int | None = None
    progress: Progress | None = None
    debuginfo: DebugInfo | None = None
    keep_log: Callable[[bytes], None] | None = None
    kernel: str | None = None


class _NoProbes:
    """A probe source without any: no driver's state is read."""

    def probe_heads(self) -> tuple[ProbeHead, ...]:
        return ()

    def register_modules(self) -> frozenset[str]:
        return frozenset()

    def probe(self, probe_id: str) -> Probe | None:
        return None

    def probes(self) -> tuple[Probe, ...]:
        return ()

    def layouts(self) -> tuple[Layout, ...]:
        return ()


def collect(
    names: str | Path | Sequence[str], probes: ProbeSource | None = None, options: CollectOptions | None = None
) -> Incident:
    """The incident of a file, of the newest crash in a folder, or of standard input ("-").

    Several names are the pieces of one split dump. Without `probes` no driver's state is read. Raises InputError (see
    engine.errors) if nothing of it can be used; the text names the file and what to do.
    """
    options = options or CollectOptions()
    source: ProbeSource = probes if probes is not None else _NoProbes()
    names = [str(names)] if isinstance(names, str | Path) else names
    if len(names) > 1:
        from kbmatch.collectors.dump import open_dump

        with open_dump(
            list(names),
            kaslr=options.kaslr,
            phys_base=options.phys_base,
            vmcoreinfo=options.vmcoreinfo,
            max_unpacked=options.max_unpacked,
            progress=options.progress,
        ) as dump:
            return _read_dump(dump, names[0], source, options)
    (name,) = names
    if "\0" in name:
        raise UnreadableInput("a file name cannot hold a NUL character")
    if name != STDIN:
        try:
            is_folder = Path(name).is_dir()
        except (OSError, ValueError) as error:
            raise UnreadableInput(f"{name}: {getattr(error, 'strerror', None) or error}") from error
        if is_folder:
            return _collect_folder(Path(name), source, options)
    return _collect_file(name, source, options)


def _collect_folder(folder: Path, probes: ProbeSource, options: CollectOptions) -> Incident:
    from kbmatch.collectors.folder import crashes_in, pstore_records

    crash = crashes_in(folder)
    records = pstore_records(crash)
    if len(records) > 1:
        found = _collect_records(records, options)
        return replace(
            found, notes=(Note("info", f"newest crash in {folder}: {len(records)} records of pstore"), *found.notes)
        )
    failed: list[Note] = []
    mute: Incident | None = None
    for path in crash:
        try:
            found = _collect_file(str(path), probes, options)
        except InputError as error:
            failed.append(Note("warning", f"passed over: {error}"))
            continue
        found = replace(found, notes=(Note("info", f"newest crash in {folder}: {path}"), *failed, *found.notes))
        if found.kernel.release is not None:
            return found
        # a dump in which the kernel was not found: the log beside it may say more
        mute = mute or found
    if mute is not None:
        return mute
    raise UnreadableInput(f"{folder}: nothing in it can be read; " + "; ".join(note.text for note in failed))


def _collect_records(records: Sequence[Path], options: CollectOptions) -> Incident:
    """The records that pstore left of one crash, read as one log; their headers tell their order."""
    from kbmatch.collectors.logs.console import read_log
    from kbmatch.collectors.logs.sources import unpacked

    try:
        data = b"\n".join(unpacked(path.read_bytes()[:WHOLE_TEXT]) for path in records)
    except OSError as error:
        raise UnreadableInput(f"{error.filename}: {error.strerror}") from error
    if options.keep_log is not None:
        options.keep_log(data)
    log = read_log(data)
    source = Source(str(records[0].parent), "console", len(data))
    return Incident(source, log.kernel, log.machine, log.events, notes=_notes_of(log, bool(data.strip())))


FIRST_BYTES = 4096
"""Enough to know a dump; what is none is judged by HEAD_BYTES."""


def _collect_file(name: str, probes: ProbeSource, options: CollectOptions) -> Incident:
    from kbmatch.collectors.containers.opening import open_source

    source, problems = open_source(name, options.max_unpacked, options.progress)
    try:
        head = source.read(0, FIRST_BYTES)
        if identify_dump(head, source.size) is None:
            head += source.read(len(head), HEAD_BYTES - len(head))
        format_ = identify(head, source.size)
        if format_ in TEXTS:
            found = _read_text(source, name, format_, probes, options)
        elif format_ == "binary":
            _refuse(name, source, head)
        else:
            found = _read_container(source, name, probes, options)
    finally:
        source.close()
    return replace(found, notes=(*(Note("warning", text) for text in problems), *found.notes))


def _refuse(name: str, source: ByteSource, head: bytes) -> NoReturn:
    from kbmatch.collectors.containers.unsupported import explain

    known = explain(head, source.size)
    if known is not None:
        raise UnsupportedFormat(f"{name}: a {known[0]}, which kbmatch does not read; {known[1]}")
    raise NotACrashFile(
        f"{name}: {describe_binary(head)}, neither a kernel log nor a dump; "
        "kbmatch reads console logs, crash sessions and kernel dumps, also compressed"
    )


def _read_text(source: ByteSource, name: str, format_: str, probes: ProbeSource, options: CollectOptions) -> Incident:
    if source.size > WHOLE_TEXT and format_ == "console":
        from kbmatch.collectors.logs.console import scan_stream

        log = scan_stream(cast("IO[bytes]", SourceStream(source)))  # type: ignore[arg-type]  # read() is all it needs
        return Incident(
            Source(name, format_, source.size), log.kernel, log.machine, log.events, notes=_notes_of(log, True)
        )
    data = source.read(0, source.size)
    if format_ == "freeze":
        return _read_freeze(data, name)
    if format_ == "transcript" or _is_session(data):
        from kbmatch.collectors.transcript.transcript import read_transcript

        if options.keep_log is not None:
            options.keep_log(data)
        reading = read_transcript(data, probes)
        log, state, format_ = reading.log, reading.state, "transcript"
    else:
        from kbmatch.collectors.logs.console import read_log

        if options.keep_log is not None:
            from kbmatch.collectors.logs.sources import unpacked

            options.keep_log(unpacked(data))
        log, state = read_log(data), {}
    state = {**_state_from_registers(log.events, log.kernel, probes), **state}
    notes = _notes_of(log, bool(data.strip()))
    return Incident(Source(name, format_, len(data)), log.kernel, log.machine, log.events, state, notes)


def _is_session(data: bytes) -> bool:
    """A session may show its first prompt behind a long preamble."""
    if len(data) <= HEAD_BYTES:
        return False
    from kbmatch.collectors.transcript.session import is_session

    return is_session(data)


def _notes_of(log: LogReading, has_text: bool) -> tuple[Note, ...]:
    if log.events or log.looks_like_log:
        return log.notes
    what = "nothing in this text looks like a kernel log" if has_text else "the file is empty"
    return (*log.notes, Note("warning", what))


def _read_freeze(data: bytes, name: str) -> Incident:
    from kbmatch.engine.freeze import incident_from_json

    try:
        frozen = incident_from_json(data)
    except KbmatchError as error:
        raise type(error)(f"{name}: {error}") from error
    return replace(frozen, notes=(*frozen.notes, Note("info", f"read from the signature file {name}")))


def _read_container(source: ByteSource, name: str, probes: ProbeSource, options: CollectOptions) -> Incident:
    from kbmatch.collectors.containers.opening import join_pieces, open_container
    from kbmatch.collectors.dump import Dump

    container = join_pieces([name], [open_container(source)])
    try:
        dump = Dump(container, name, kaslr=options.kaslr, phys_base=options.phys_base, vmcoreinfo=options.vmcoreinfo)
        return _read_dump(dump, name, probes, options)
    finally:
        container.close()


def _read_dump(dump: Dump, name: str, probes: ProbeSource, options: CollectOptions) -> Incident:
    from kbmatch.collectors.logs.console import read_log

    text = dump.log_text()
    if options.keep_log is not None:
        options.keep_log(text)
    log = read_log(text)
    events = log.events
    if not events:
        from kbmatch.collectors.outside import outside_event

        events = (outside_event(dump),)
    kernel = dump.complete(_kernel_of_dump(dump.kernel, log.kernel))
    state: dict[str, ProbeState] = {}
    lacking: frozenset[str] = frozenset()
    notes: tuple[Note, ...] = ()
    if dump.memory is not None:
        from kbmatch.collectors.probes.run import run_probes

        run = run_probes(dump, dump.memory, probes, events, options.debuginfo)
        events, state, lacking, notes = run.events, run.state, run.lacking, tuple(run.notes)
    if dump.memory is None or lacking:
        told = _state_from_registers(events, kernel, probes)
        state.update({name: found for name, found in told.items() if name in lacking or name not in state})
    return Incident(
        source=Source(name, dump.format, dump.size),
        kernel=kernel,
        machine=_machine_of_dump(dump.machine, log.machine),
        events=events,
        state=state,
        notes=(*dump.notes, *log.notes, *notes),
    )


def _state_from_registers(events: Sequence[Signature], kernel: Kernel, probes: ProbeSource) -> dict[str, ProbeState]:
    """What the registers of the fatal event tell of a driver's state; nothing is imported for an event without."""
    event = next((event for event in events if event.fatal), None)
    if event is None or not event.code or not event.registers:
        return {}
    if event.module not in probes.register_modules():
        return {}
    from kbmatch.collectors.probes.from_registers import states_from_registers

    return states_from_registers(events, kernel, probes)


def _kernel_of_dump(dump: Kernel, log: Kernel) -> Kernel:
    """What memory says wins; the log adds what only it has (taint, banner)."""
    return Kernel(
        release=dump.release or log.release,
        version=dump.version or log.version,
        arch=dump.arch or log.arch,
        build_id=dump.build_id or log.build_id,
        taint=log.taint,
        livepatched=log.livepatched,
        kaslr_offset=dump.kaslr_offset if dump.kaslr_offset is not None else log.kaslr_offset,
        phys_base=dump.phys_base if dump.phys_base is not None else log.phys_base,
        banner=log.banner,
    )


def _machine_of_dump(dump: Machine, log: Machine) -> Machine:
    cpus = dump.cpus if dump.cpus is not None else log.cpus
    return Machine(log.hardware, log.hypervisor, cpus, dump.hostname or log.hostname)
