"""A log text, whole, to its reading: the public face of this package."""

from __future__ import annotations

from dataclasses import replace

from kbmatch.collectors.logs.events import event_arch, mark_fatal, signature_of, with_fatal
from kbmatch.collectors.logs.grouping import Grouper
from kbmatch.collectors.logs.header import Boot, arch_of_name, boot_facts, find_boots, hypervisor_of
from kbmatch.collectors.logs.lines import printed_lines
from kbmatch.collectors.logs.reading import LogReading
from kbmatch.collectors.logs.report import Body, Draft
from kbmatch.engine.incident import Kernel, Note
from kbmatch.engine.signature import Signature

_HEAD_WINDOW = 256 * 1024


def read_log(data: bytes) -> LogReading:
    """
    Kernel, machine, events and notes of a log text in any of the formats that carry kernel logs.

    Never raises, whatever the bytes; time and memory grow linearly with `data`.
    """
    boots = find_boots(data)
    starts = [data.count(b"\n", 0, b.position) + 1 for b in boots]
    grouper = Grouper()
    logs = 0
    for line in printed_lines(data):
        if line.time is not None:
            logs += 1
        while grouper.boot < len(starts) and line.number >= starts[grouper.boot]:
            grouper.break_off()
            grouper.boot += 1
        grouper.feed(line)
    return reading_of(grouper, boots, data, logs)


def reading_of(grouper: Grouper, boots: list[Boot], data: bytes, stamped: int) -> LogReading:
    """The reading of what `grouper` collected from `data`."""
    drafts = grouper.drafts
    events: list[Signature] = []
    bodies: list[Body] = []
    for draft in drafts:
        event, body = signature_of(draft)
        events.append(event)
        bodies.append(body)
    fatal = mark_fatal(events, drafts)
    boot_at = drafts[fatal].boot if fatal is not None else len(boots)
    kernel = _kernel(fatal, drafts, bodies, boots, boot_at)
    window_start = boots[boot_at - 1].position if boots and boot_at else 0
    machine, offset = boot_facts(data[window_start : window_start + _HEAD_WINDOW])
    tail_machine, tail_offset = boot_facts(data[-_HEAD_WINDOW:])
    if fatal is not None:
        body = bodies[fatal]
        if body.hardware:
            machine = replace(machine, hardware=body.hardware)
    if machine.hypervisor is None and machine.hardware:
        machine = replace(machine, hypervisor=hypervisor_of(machine.hardware))
    kernel = replace(kernel, kaslr_offset=offset if offset is not None else tail_offset)
    if fatal is not None:
        for i, (event, draft) in enumerate(zip(events, drafts, strict=True)):
            if draft.boot != boot_at:
                events[i] = replace(event, release=_release(draft, bodies[i], boots))
    events = with_fatal(events, fatal)
    notes: list[Note] = []
    return LogReading(kernel, machine, tuple(events), tuple(notes), bool(events or boots or stamped))


def _release(draft: Draft, body: Body, boots: list[Boot]) -> str | None:
    for facts in (body.cpu_line, body.release_line):
        if facts and facts.release:
            return facts.release
    return boots[draft.boot - 1].release if boots and draft.boot else None


def _kernel(
    fatal: int | None, drafts: list[Draft], bodies: list[Body], boots: list[Boot], boot_at: int
) -> Kernel:
    boot = boots[boot_at - 1] if boots and boot_at else (boots[0] if boots and fatal is None else None)
    release = boot.release if boot else None
    version = boot.version if boot else None
    banner = boot.banner if boot else None
    taint: tuple[str, ...] | None = None
    arch: str | None = None
    livepatched: bool | None = None
    if fatal is not None:
        order = [fatal, *[i for i, d in enumerate(drafts) if i != fatal and d.boot == boot_at]]
        body = bodies[fatal]
        arch = event_arch(body)
        for i in order:
            facts = [f for f in (bodies[i].cpu_line, bodies[i].release_line) if f and f.release]
            if facts:
                if facts[0].release != release:
                    release, version, banner = facts[0].release, None, None
                version = version or facts[0].version
                break
        taint = next((f.taint for f in (body.cpu_line, body.release_line) if f and f.taint is not None), None)
        if taint is not None:
            livepatched = "K" in taint or any(
                w in body.modules for w in ("ksplice", "kpatch", "livepatch_", "klp_")
            )
    named = arch_of_name(release) if release else None
    arch = named or arch or (arch_of_name(banner) if banner else None)
    return Kernel(
        release=release,
        version=version,
        arch=arch,
        taint=taint,
        livepatched=livepatched,
        banner=banner,
    )
