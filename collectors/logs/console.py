"""A log text, whole, to its reading: the public face of this package."""

from __future__ import annotations

from typing import BinaryIO

from kbmatch.collectors.logs.draft import OOPS_KINDS, Body, Draft
from kbmatch.collectors.logs.events import event_arch, mark_fatal, signature_of, with_fatal
from kbmatch.collectors.logs.grouping import Grouper
from kbmatch.collectors.logs.header import Boot, arch_of_name, boot_facts, find_boots, hypervisor_of
from kbmatch.collectors.logs.reading import LogReading
from kbmatch.collectors.logs.sources import Reader, hostname_of, pstore_blocks, reader_of, unpacked
from kbmatch.collectors.logs.torn import BARE, BODY, Torn, has_signs, is_clear
from kbmatch.collectors.logs.triggers import regions
from kbmatch.collectors.logs.unwrapping import printed_lines
from kbmatch.engine.incident import Kernel, Machine, Note
from kbmatch.engine.signature import Signature
from kbmatch.engine.values import replace

_HEAD_WINDOW = 256 * 1024
_TAIL_WINDOW = 64 * 1024


class _Scanner:
    """Feeds blocks of whole lines to a Grouper, only those near a trigger where `everything` is False.

    Memory is bounded: reports that are complete are turned into Signatures at once, their lines dropped.
    """

    def __init__(self, reader: Reader, everything: bool, lost: Torn | None = None) -> None:
        self.grouper = Grouper(torn=lost.head if lost else None)
        self.reader = reader
        self.everything = everything
        self.more = lost.signs if lost else ()
        self.stamped = 0
        self.boots: list[Boot | None] = [None]
        self.facts: list[tuple[Machine, int | None]] = [(Machine(), None)]
        self.finished: list[tuple[Signature, Body]] = []
        self.tail = b""
        self.line = 1
        self.hostname: str | None = None
        self._waiting: bytes | None = None

    def feed(self, block: bytes, first: int | None = None) -> None:
        """Take the next block; `first` is its first line's number where blocks do not follow each other."""
        line = self.line if first is None else first
        self.hostname = self.hostname or hostname_of(block)
        boots = find_boots(block)
        self._boot_lines(block, boots)
        starts = {}
        position = 0
        for start, end in [(0, len(block))] if self.everything else regions(block, self.more):
            line += block.count(b"\n", position, start)
            number, at = line, start
            for boot in boots:
                if start <= boot.position < end:
                    number += block.count(b"\n", at, boot.position)
                    at = boot.position
                    starts[number] = boot
            self._lines(block[start:end] if end - start < len(block) else block, line, starts)
            line += block.count(b"\n", start, end)
            position = end
        self.line = line + block.count(b"\n", position)
        self.tail = (self.tail + block[-_TAIL_WINDOW:])[-_TAIL_WINDOW:]

    def _lines(self, region: bytes, first: int, starts: dict[int, Boot]) -> None:
        grouper = self.grouper
        numbers = sorted(starts)
        at = 0
        for line in self.reader(region, first):
            if line.time is not None or line.kernel:
                self.stamped += 1
            while at < len(numbers) and line.number >= numbers[at]:
                self.boots.append(starts.pop(numbers[at]))
                grouper.break_off()
                grouper.boot = len(self.boots) - 1
                at += 1
            grouper.feed(line)
        self._finish(keep=_RECENT)

    def _boot_lines(self, block: bytes, boots: list[Boot]) -> None:
        """Machine and KASLR offset from what follows each banner, up to the next one."""
        if self._waiting is not None:
            end = boots[0].position if boots else len(block)
            self._waiting = (self._waiting + block[: min(end, _HEAD_WINDOW)])[:_HEAD_WINDOW]
            if boots or len(self._waiting) >= _HEAD_WINDOW:
                self._known()
        for boot, following in zip(boots, [*boots[1:], None], strict=False):
            end = min(following.position if following else len(block), boot.position + _HEAD_WINDOW)
            self._waiting = block[boot.position : end]
            if following or len(self._waiting) >= _HEAD_WINDOW:
                self._known()

    def _known(self) -> None:
        self.facts.append(boot_facts(self._waiting or b""))
        self._waiting = None

    def _finish(self, keep: int) -> None:
        drafts = self.grouper.drafts
        while len(self.finished) < len(drafts) - keep:
            draft = drafts[len(self.finished)]
            self.finished.append(signature_of(draft))
            draft.lines = []

    def reading(self) -> LogReading:
        """What was read."""
        if self._waiting is not None:
            self._known()
        self._finish(keep=0)
        return _reading(self)


_RECENT = 40
"""Reports that may still get lines (a panic, a further hung task) while a stream is read."""
_SMALL = 256 * 1024
_CHUNK = 4 << 20


def read_log(data: bytes) -> LogReading:
    """Kernel, machine, events and notes of a log text in any of the formats that carry kernel logs.

    Never raises, whatever the bytes; time and memory grow linearly with `data`.
    """
    data = unpacked(data)
    reader = reader_of(data)
    blocks = pstore_blocks(data)
    scanner = _scanned(data, reader, blocks, None)
    if not scanner.grouper.drafts and has_signs(BODY, data):
        scanner = _scanned(data, reader, blocks, BODY)
    if not scanner.grouper.drafts and has_signs(BARE, data[:_BARE]) and is_clear(reader(data[:_BARE], 1)):
        scanner = _scanned(data, reader, blocks, BARE)
    reading = scanner.reading()
    if reading.kernel.release is None and reading.events:
        from kbmatch.collectors.logs.told import with_told_kernel

        return with_told_kernel(reading, data)
    return reading


def _scanned(data: bytes, reader: Reader, blocks: list[tuple[int, int, int]], lost: Torn | None) -> _Scanner:
    scanner = _Scanner(reader, len(data) <= _SMALL or reader is not printed_lines, lost)
    for start, end, first in blocks:
        scanner.feed(data[start:end] if len(blocks) > 1 else data, first)
    return scanner


def scan_stream(file: BinaryIO) -> LogReading:
    """The same of a file that is read once, in constant memory: an archive of a console, a pipe.

    A reading holds at most 1000 events; a note counts the rest.
    """
    head = _read_lines(file, b"")
    if len(head) < _CHUNK:
        return read_log(head)
    if len(pstore_blocks(head)) > 1:
        return read_log(head + file.read(_PSTORE))  # the newest part may be the last
    scanner = _Scanner(reader_of(head), everything=False)
    torn = _Scanner(scanner.reader, everything=False, lost=BODY)
    while head:
        cut = head.rfind(b"\n") + 1 or len(head)
        line = scanner.line
        scanner.feed(head[:cut])
        if not scanner.grouper.drafts and has_signs(BODY, head):
            torn.feed(head[:cut], line)
        head = _read_lines(file, head[cut:])
    return (scanner if scanner.grouper.drafts or not torn.grouper.drafts else torn).reading()


def _read_lines(file: BinaryIO, rest: bytes) -> bytes:
    """`rest` and about four MiB more of `file`; less only at its end."""
    parts = [rest]
    size = len(rest)
    if size > _CHUNK:
        return b"\n"
    while size < _CHUNK:
        part = file.read(_CHUNK - size)
        if not part:
            break
        parts.append(part)
        size += len(part)
    return b"".join(parts)


_PSTORE = 64 << 20
_BARE = 1 << 20
"""Bytes that are searched for a trace alone: what somebody pasted, not an archive."""


def _reading(scanner: _Scanner) -> LogReading:
    """The reading of what `scanner` collected."""
    grouper, boots = scanner.grouper, scanner.boots
    replays = _replays([event for event, _ in scanner.finished])
    grouper.drafts = drafts = [d for i, d in enumerate(grouper.drafts) if i not in replays]
    events = [event for i, (event, _) in enumerate(scanner.finished) if i not in replays]
    bodies = [body for i, (_, body) in enumerate(scanner.finished) if i not in replays]
    fatal = mark_fatal(events, drafts)
    epoch = drafts[fatal].boot if fatal is not None else len(boots) - 1
    boot = boots[epoch]
    kernel = _kernel(fatal, drafts, bodies, boot)
    machine, offset = scanner.facts[epoch] if epoch < len(scanner.facts) else (Machine(), None)
    tail, trailer = boot_facts(scanner.tail)
    if boot is None:
        machine = tail
    if offset is None:
        offset = trailer
    if fatal is not None:
        if bodies[fatal].hardware:
            machine = replace(machine, hardware=bodies[fatal].hardware)
        if bodies[fatal].kaslr_offset is not None:
            offset = bodies[fatal].kaslr_offset
        for i, (event, draft) in enumerate(zip(events, drafts, strict=True)):
            if (draft.boot, draft.excerpt) != (epoch, drafts[fatal].excerpt):
                events[i] = replace(event, release=_release(bodies[i], boots[draft.boot]))
    if machine.hypervisor is None and machine.hardware:
        machine = replace(machine, hypervisor=hypervisor_of(machine.hardware))
    machine = replace(machine, hostname=scanner.hostname)
    kernel = replace(kernel, kaslr_offset=offset)
    seen = bool(events or scanner.stamped or any(boots))
    notes = [
        Note("info", f"line {scanner.finished[i][0].line}: repeats the report of line {first}")
        for i, first in sorted(replays.items())[:_NOTES]
    ]
    notes += notes_of(grouper, events)
    return LogReading(kernel, machine, tuple(with_fatal(events, fatal)), tuple(notes), seen)


def _replays(events: list[Signature]) -> dict[int, int | None]:
    """The events that only repeat another one - a console replay, a log pasted twice, the head that syslogd sent to all
    terminals - and the line of that one.

    A repetition has the same time and says the same; without times, the registers have to be the same too.
    """
    seen: dict[tuple[object, ...], int | None] = {}
    told = {event.message: (event.time, event.line) for event in events if event.trace or event.registers}
    found: dict[int, int | None] = {}
    for i, event in enumerate(events):
        if not event.trace and not event.registers and event.message in told:
            time, line = told[event.message]
            if time is None or event.time in (None, time):
                found[i] = line
                continue
        if event.time is None and not event.registers:
            continue
        registers = tuple(event.registers.items())
        key = (event.kind, event.message, event.time, event.cpu, event.pid, event.printed, event.trace, registers)
        if key in seen:
            found[i] = seen[key]
        else:
            seen[key] = event.line
    return found


def notes_of(grouper: Grouper, events: list[Signature]) -> list[Note]:
    """What the reader should know of how complete the reports are."""
    notes: list[Note] = []
    if grouper.overflow:
        notes.append(Note("warning", f"{grouper.overflow} more crash reports were not read"))
    for event, draft in zip(events, grouper.drafts, strict=True):
        where = f"line {event.line}: "
        if draft.torn:
            notes.append(Note("warning", where + "the first lines of this report are missing"))
        elif event.kind in _TELLING and not event.trace and event.symbol is None:
            notes.append(Note("warning", where + "the report is cut off: neither registers nor a call trace follow"))
        if draft.lost:
            notes.append(Note("warning", where + f"{draft.lost} lines of the log are lost inside this report"))
        if draft.mixed:
            notes.append(Note("info", where + "lines of two CPUs are mixed; they were told apart by their kind"))
        if draft.dropped:
            notes.append(Note("info", where + f"{draft.dropped} lines of a very long report were left out"))
    return notes[:_NOTES]


_NOTES = 200
_TELLING = OOPS_KINDS - {"panic", "sysrq", "mce"} | {"warning", "refcount", "soft-lockup", "rcu-stall", "hung-task"}
"""Kinds whose whole report always shows a place or a trace."""


def _release(body: Body, boot: Boot | None) -> str | None:
    for facts in (body.cpu_line, body.release_line):
        if facts and facts.release:
            return facts.release
    return boot.release if boot else None


def _kernel(fatal: int | None, drafts: list[Draft], bodies: list[Body], boot: Boot | None) -> Kernel:
    release = boot.release if boot else None
    version = boot.version if boot else None
    banner = boot.banner if boot else None
    taint: tuple[str, ...] | None = None
    arch: str | None = None
    livepatched: bool | None = None
    if fatal is not None:
        body = bodies[fatal]
        arch = event_arch(body)
        mine = (drafts[fatal].boot, drafts[fatal].excerpt)
        same = [b for i, b in enumerate(bodies) if i != fatal and (drafts[i].boot, drafts[i].excerpt) == mine]
        for other in (body, *same):
            facts = [f for f in (other.cpu_line, other.release_line) if f and f.release]
            if facts:
                if facts[0].release != release:
                    release, version, banner = facts[0].release, None, None
                version = version or facts[0].version
                break
        taint = next((f.taint for f in (body.cpu_line, body.release_line) if f and f.taint is not None), None)
        if taint is not None:
            livepatched = "K" in taint or any(sign in body.modules for sign in _LIVE_PATCHES)
    named = arch_of_name(release) if release else None
    arch = named or arch or (arch_of_name(banner) if banner else None)
    return Kernel(release=release, version=version, arch=arch, taint=taint, livepatched=livepatched, banner=banner)


_LIVE_PATCHES = ("ksplice", "kpatch", "livepatch_", "klp_")
"""How modules that carry live patches are named: Oracle Ksplice, kpatch (RHEL), Ubuntu and SUSE livepatches."""
