"""Collect: from what the user names - a file, a folder, standard input - to an Incident."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NoReturn

from kbmatch.collectors.identify import HEAD_BYTES, describe_binary, identify
from kbmatch.collectors.transcript.session import is_session
from kbmatch.engine.errors import InputError, KbmatchError, NotACrashFile, UnreadableInput
from kbmatch.engine.incident import Incident, Kernel, Machine, Note, Source
from kbmatch.engine.signature import Signature

if TYPE_CHECKING:
    from kbmatch.engine.probe import ProbeSource

STDIN = "-"
_COPY = 1 << 20


def collect(name: str, probes: ProbeSource) -> Incident:
    """The incident of a file, of the newest crash in a folder, or of standard input ("-").

    Raises InputError (see engine.errors) if nothing of it can be used; the text names the file and what to do.
    """
    if name == STDIN:
        return _collect_stream(sys.stdin.buffer, probes)
    path = Path(name)
    try:
        is_folder = path.is_dir()
    except OSError as error:
        raise UnreadableInput(f"{name}: {error.strerror}") from error
    return _collect_folder(path, probes) if is_folder else _collect_file(path, name, probes)


def _collect_folder(folder: Path, probes: ProbeSource) -> Incident:
    from kbmatch.collectors.folder import crashes_in

    failed: list[Note] = []
    for path in crashes_in(folder):
        try:
            found = _collect_file(path, str(path), probes)
        except InputError as error:
            failed.append(Note("warning", f"passed over: {error}"))
            continue
        return replace(found, notes=(Note("info", f"newest crash in {folder}: {path}"), *failed, *found.notes))
    raise UnreadableInput(f"{folder}: nothing in it can be read\n" + "\n".join(note.text for note in failed))


def _collect_file(path: Path, name: str, probes: ProbeSource) -> Incident:
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
            size = path.stat().st_size
            format_ = identify(head, size)
            if format_ in ("console", "transcript", "freeze"):
                return _collect_text(head + file.read(), name, format_, probes)
    except OSError as error:
        raise UnreadableInput(f"{name}: {error.strerror or error}") from error
    if format_ == "binary":
        _refuse(name, head)
    return _collect_dump(path, name)


def _collect_stream(stream: BinaryIO, probes: ProbeSource) -> Incident:
    head = b""
    while len(head) < HEAD_BYTES and (more := stream.read(HEAD_BYTES - len(head))):
        head += more
    format_ = identify(head, 0)
    if format_ in ("console", "transcript", "freeze"):
        return _collect_text(head + stream.read(), STDIN, format_, probes)
    if format_ == "binary":
        _refuse("standard input", head)
    import tempfile

    with tempfile.NamedTemporaryFile(prefix="kbmatch-", suffix=".dump") as copy:
        copy.write(head)
        while more := stream.read(_COPY):
            copy.write(more)
        copy.flush()
        found = _collect_dump(Path(copy.name), "standard input")
    return replace(found, source=replace(found.source, path=STDIN))


def _refuse(name: str, head: bytes) -> NoReturn:
    raise NotACrashFile(
        f"{name}: {describe_binary(head)}, neither a kernel log nor a dump; "
        "kbmatch reads console logs, crash sessions, ELF and kdump-compressed vmcores"
    )


def _collect_text(data: bytes, name: str, format_: str, probes: ProbeSource) -> Incident:
    if format_ == "freeze":
        from kbmatch.engine.freeze import incident_from_json

        try:
            frozen = incident_from_json(data)
        except KbmatchError as error:
            raise type(error)(f"{name}: {error}") from error
        return replace(frozen, notes=(*frozen.notes, Note("info", f"read from the signature file {name}")))
    if format_ == "transcript" or is_session(data):
        from kbmatch.collectors.transcript.transcript import read_transcript

        reading = read_transcript(data, probes)
        log, state, format_ = reading.log, reading.state, "transcript"
    else:
        from kbmatch.collectors.logs.console import read_log

        log, state = read_log(data), {}
    notes = log.notes
    if not log.events and not log.looks_like_log:
        what = "the file is empty" if not data.strip() else "nothing in this text looks like a kernel log"
        notes = (*notes, Note("warning", what))
    return Incident(Source(name, format_, len(data)), log.kernel, log.machine, log.events, state, notes)


def _collect_dump(path: Path, name: str) -> Incident:
    from kbmatch.collectors.dump import open_dump
    from kbmatch.collectors.logs.console import read_log

    with open_dump(path) as dump:
        log = read_log(dump.log_text())
        events = log.events or (Signature("other", "dump taken from outside: its log shows no crash", fatal=True),)
        return Incident(
            source=Source(name, dump.format, dump.size),
            kernel=_kernel_of_dump(dump.kernel, log.kernel),
            machine=_machine_of_dump(dump.machine, log.machine),
            events=events,
            notes=(*dump.notes, *log.notes),
        )


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
    return Machine(
        log.hardware,
        log.hypervisor,
        dump.cpus if dump.cpus is not None else log.cpus,
        dump.hostname or log.hostname,
    )
