"""What a log must say however it was pasted: the facts that two readings of one crash are compared by."""

from __future__ import annotations

from kbmatch.collectors.logs.reading import LogReading
from kbmatch.engine.culprit import HelperFrames, assign_culprits
from kbmatch.engine.signature import Frame


def _names(frames: tuple[Frame, ...]) -> list[tuple[str, str | None]]:
    return [(f.symbol, f.module) for f in frames if f.reliable]


def facts(reading: LogReading, helpers: HelperFrames) -> dict[str, object]:
    """The facts of the first event and its kernel, by field name; empty without events."""
    events = assign_culprits(reading.events, helpers)
    if not events:
        return {}
    event = events[0]
    return {
        "kind": event.kind,
        "symbol": event.symbol,
        "module": event.module,
        "culprit": event.culprit,
        "release": reading.kernel.release,
        "taint": reading.kernel.taint,
        "address": event.address,
        "source_line": event.source_line,
        "comm": event.comm,
        "pid": event.pid,
        "trace5": _names(event.trace)[:5],
        "trace": _names(event.trace),
        "tasks": [(t.comm, t.pid, t.seconds, _names(t.trace)[:5]) for t in event.tasks],
        "modules": event.modules,
        "module_taints": event.module_taints,
        "hardware": reading.machine.hardware,
        "code": (event.code or "").split() or None,
    }
