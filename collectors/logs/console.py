"""A log text, whole, to its reading: the public face of this package."""

from __future__ import annotations

import re
from dataclasses import replace

from kbmatch.collectors.logs.events import event_arch, mark_fatal, signature_of, with_fatal
from kbmatch.collectors.logs.grouping import Grouper
from kbmatch.collectors.logs.header import Boot, arch_of_name, boot_facts, find_boots, hypervisor_of
from kbmatch.collectors.logs.lines import Line, printed_lines
from kbmatch.collectors.logs.reading import LogReading
from kbmatch.collectors.logs.report import Body, Draft
from kbmatch.engine.incident import Kernel, Machine, Note
from kbmatch.engine.signature import Signature

_HEAD_WINDOW = 256 * 1024
_TAIL_WINDOW = 64 * 1024


class Epochs:
    """The boots that a text tells apart by its banners: `boots[i]` is the i-th; boot 0 is what precedes the first."""

    def __init__(self, boots: list[Boot], starts: list[int]) -> None:
        self.boots: list[Boot | None] = [None]
        self._next = list(zip(starts, boots, strict=True))
        self._at = 0

    def enter(self, line: Line) -> bool:
        """Take the next line; True where it begins another boot."""
        entered = False
        while self._at < len(self._next) and line.number >= self._next[self._at][0]:
            self.boots.append(self._next[self._at][1])
            self._at += 1
            entered = True
        return entered


def read_log(data: bytes) -> LogReading:
    """Kernel, machine, events and notes of a log text in any of the formats that carry kernel logs.

    Never raises, whatever the bytes; time and memory grow linearly with `data`.
    """
    boots = find_boots(data)
    epochs = Epochs(boots, [data.count(b"\n", 0, b.position) + 1 for b in boots])
    grouper = Grouper()
    stamped = 0
    for line in printed_lines(data):
        if line.time is not None:
            stamped += 1
        if epochs.enter(line):
            grouper.break_off()
            grouper.boot = len(epochs.boots) - 1
        grouper.feed(line)
    if not grouper.drafts and _TORN.search(data):
        grouper = _torn(data)
    return reading_of(grouper, epochs.boots, data, stamped)


_TORN = re.compile(rb"RIP: 0010:|Krnl PSW : |\bPC is at |---\[ end trace|NIP \[")


def _torn(data: bytes) -> Grouper:
    """The reports of a text that begins in the middle of one: its register block stands for the lost head."""
    grouper = Grouper(torn=True)
    for line in printed_lines(data):
        grouper.feed(line)
    for draft in grouper.drafts:
        draft.boot = 0
    return grouper


def reading_of(grouper: Grouper, boots: list[Boot | None], data: bytes, stamped: int) -> LogReading:
    """The reading of what `grouper` collected from `data`."""
    drafts = grouper.drafts
    read = [signature_of(draft) for draft in drafts]
    events = [event for event, _ in read]
    bodies = [body for _, body in read]
    fatal = mark_fatal(events, drafts)
    epoch = drafts[fatal].boot if fatal is not None else len(boots) - 1
    boot = boots[epoch]
    kernel = _kernel(fatal, drafts, bodies, boot)
    machine, offset = _around(boot, data)
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
    kernel = replace(kernel, kaslr_offset=offset)
    seen = bool(events or stamped or any(boots))
    return LogReading(kernel, machine, tuple(with_fatal(events, fatal)), tuple(notes_of(grouper, events)), seen)


def _around(boot: Boot | None, data: bytes) -> tuple[Machine, int | None]:
    """What the boot lines say, and a "Kernel Offset:" line at the end of the text."""
    machine, offset = Machine(), None
    if boot is not None:
        machine, offset = boot_facts(data[boot.position : boot.position + _HEAD_WINDOW])
    if offset is None:
        tail, offset = boot_facts(data[-_TAIL_WINDOW:])
        if boot is None:
            machine = tail
    return machine, offset


def notes_of(grouper: Grouper, events: list[Signature]) -> list[Note]:
    """What the reader should know of how complete the reports are."""
    notes: list[Note] = []
    if grouper.overflow:
        notes.append(Note("warning", f"{grouper.overflow} more crash reports were not read"))
    for event, draft in zip(events, grouper.drafts, strict=True):
        if draft.torn:
            notes.append(Note("warning", f"line {event.line}: the first lines of this report are missing"))
        if draft.dropped:
            notes.append(Note("info", f"line {event.line}: {draft.dropped} lines of a very long report left out"))
    return notes


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
    return Kernel(
        release=release, version=version, arch=arch, taint=taint, livepatched=livepatched, banner=banner
    )


_LIVE_PATCHES = ("ksplice", "kpatch", "livepatch_", "klp_")
"""How modules that carry live patches are named: Oracle Ksplice, kpatch (RHEL), Ubuntu and SUSE livepatches."""
