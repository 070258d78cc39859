"""What stands around a crash, or in its place: troubles of a log without one, earlier damage, a host that lets wait."""

from __future__ import annotations

import re
from collections.abc import Iterator

from kbmatch.cli.style import plain_text
from kbmatch.collectors.logs.draft import OOPS_KINDS
from kbmatch.engine.finding import Diagnosis

MAX_TROUBLES = 3
MAX_WIDTH = 100
MAX_SCANNED = 8 << 20
"""Bytes of a log that are looked through, from its end."""

_TROUBLES = (
    ("a disk or its controller that fails", rb"I/O error, dev (?!fd|sr|loop)|controller is down; will reset"),
    ("a disk or its controller that fails", rb"nvme\d{1,3}: I/O .{0,60}timeout|ata\d{1,3}[^\n]{0,12}exception Emask"),
    (
        "a filesystem that is damaged or gave up",
        rb"EXT4-fs error|Aborting journal|XFS: Internal error"
        rb"|XFS \([^)\n]{1,40}\): [^\n]{0,40}(?:orruption|Internal error)"
        rb"|BTRFS[^\n]{0,60}(?:forced readonly|errno=-)",
    ),
    ("a graphics card that hangs", rb"ring \S{1,20} timeout, signaled|GPU HANG|NVRM: Xid"),
    ("errors on PCI Express", rb"AER:[^\n]{0,40}Uncorrect|PCIe Bus Error: severity=|AER: device recovery failed"),
    ("errors that the hardware reported", rb"\[Hardware Error\]|EDAC [^\n]{0,40} [CU]E "),
    (
        "a control group or a machine without memory",
        rb"Memory cgroup stats for |memory: usage \d+kB, limit|oom_reaper: ",
    ),
    ("a server that does not answer", rb"nfs: server \S{1,80} not responding|has not responded in \d+ seconds"),
    ("a clock that is not to be relied on", rb"Marking clocksource '?\w+'? as unstable|TSC is unstable"),
    ("a program that crashed, not the kernel", rb"\[\d+\]: segfault at "),
)
"""What a log without a crash may show, and the words of the kernel that show it."""

_EARLIER = {
    "D": "an oops",
    "B": "a damaged page",
    "M": "a machine check (hardware)",
}
"""Taint letters that say what happened before (admin-guide/tainted-kernels), in words."""
_OOPSES = (OOPS_KINDS - {"sysrq", "mce", "hard-lockup"}) | {"other"}
_BAD_PAGES = frozenset({"bad-page", "kasan", "kfence", "bug", "other"})
_MACHINE_CHECKS = frozenset({"mce", "panic"})
_STALLS = frozenset({"soft-lockup", "rcu-stall", "workqueue-stall", "hard-lockup"})


def troubles(diagnosis: Diagnosis) -> Iterator[str]:
    """What a log without a crash shows all the same, with the line, as far as a few plain signs tell."""
    log = diagnosis.incident.log
    if log is None:
        return
    data = log.data[-MAX_SCANNED:]
    skipped = len(log.data) - len(data)
    found: dict[str, int] = {}
    for words, pattern in _TROUBLES:
        match = re.search(pattern, data)
        if match is not None:
            found[words] = min(match.start(), found.get(words, len(data)))
    for words, at in sorted(found.items(), key=lambda item: item[1])[:MAX_TROUBLES]:
        number = log.data.count(b"\n", 0, skipped + at) + 1
        start, end = data.rfind(b"\n", 0, at) + 1, data.find(b"\n", at)
        line = plain_text(data[start : end if end >= 0 else len(data)].decode("utf-8", "replace").strip())
        yield f"The log shows {words} (line {number}): {line[:MAX_WIDTH]}{'...' if len(line) > MAX_WIDTH else ''}"


def earlier_damage(diagnosis: Diagnosis) -> Iterator[str]:
    """What the taint line says had happened before this event and the log does not show: the first failure counts."""
    incident = diagnosis.incident
    index = incident.fatal_index
    if index is None:
        return
    letters = incident.kernel.taint or ()
    before = {event.kind for event in incident.events[:index]}
    so_far = before | {incident.events[index].kind}
    shown = {"D": before & _OOPSES, "B": so_far & _BAD_PAGES, "M": so_far & _MACHINE_CHECKS}
    missing = [letter for letter in _EARLIER if letter in letters and not shown[letter]]
    if missing:
        named = ", ".join(f"{_EARLIER[letter]} ({letter})" for letter in missing)
        yield (
            f"The taint line says that this was not the first: before it there was {named}, which this log"
            " does not show. Look for that one first; what comes after it may be its consequence."
        )


def starved(diagnosis: Diagnosis) -> Iterator[str]:
    """That a virtual machine whose host does not run it reports the same, where nothing explains a stall on one."""
    incident = diagnosis.incident
    index = incident.fatal_index
    if index is None or incident.events[index].kind not in _STALLS or not incident.machine.hypervisor:
        return
    yield (
        "On a virtual machine the host comes first: one that is overcommitted, takes a snapshot, migrates or pauses it"
        " lets the guest report the same. Look at steal time and at the host's log for that minute."
    )
