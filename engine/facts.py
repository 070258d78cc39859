"""The registry of facts that a rule's signature may name: one list, from which schema, docs and linter are made.

A fact reads one value, or several, out of an incident and one of its events. None means unknown. `selective` facts
are what candidates are looked up by: few rules share one of their values.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from kbmatch.engine.incident import Incident
from kbmatch.engine.index_key import value_keys
from kbmatch.engine.kinds import ACCESSES, CONTEXTS, KINDS
from kbmatch.engine.memory_report import unreclaimable_percent
from kbmatch.engine.register_facts import PREFIX, REGISTERS
from kbmatch.engine.signature import HungTask, Signature
from kbmatch.engine.values import dataclass

Value = int | str | tuple[int | str, ...] | None


@dataclass(frozen=True, slots=True)
class Scene:
    """What a rule is judged on: an incident and one event of it, or no event (state alone)."""

    incident: Incident
    event: Signature | None


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact: its name in rules, its type, and how to read it.

    `type` is "integer" or "text". `closed` lists the only values that a text may have. A fact with `many` has several
    values at once; a leaf is true if one of them fits. `field` is the Signature field whose line is the source.
    An `ordered` fact's values follow each other (frames), so that in-order and adjacent may be asked of them; "task"
    means that they do so within one blocked task only (under any-task).
    """

    name: str
    type: str
    meaning: str
    read: Callable[[Scene], Value]
    field: str | None = None
    many: bool = False
    selective: bool = False
    hexadecimal: bool = False
    closed: tuple[str, ...] = ()
    in_signature: bool = True
    pattern: bool = False
    register: str | None = None
    ordered: str | None = None

    def source(self, scene: Scene) -> str | None:
        """Where the value stands: "line 3", "register rbx", or None where it belongs to no place."""
        if self.register is not None:
            return f"register {self.register}"
        if scene.event is None or self.field is None:
            return None
        line = scene.event.lines.get(self.field, scene.event.line)
        return None if line is None else f"line {line}"


def _event(read: Callable[[Signature], Value]) -> Callable[[Scene], Value]:
    return lambda scene: None if scene.event is None else read(scene.event)


def _frames(event: Signature) -> Value:
    """Symbols of where the CPU stood and of the trace; None where neither is known."""
    own = (event.symbol,) if event.symbol else ()
    return own + tuple(frame.symbol for frame in event.trace) or None


def _tasks(read: Callable[[HungTask], Value]) -> Callable[[Scene], Value]:
    """One value of each blocked task; unknown where none is listed or none of them tells."""

    def values(scene: Scene) -> Value:
        found: list[int | str] = []
        for task in scene.event.tasks if scene.event else ():
            value = read(task)
            if isinstance(value, tuple):
                found += value
            elif value is not None:
                found.append(value)
        return tuple(dict.fromkeys(found)) or None

    return values


def _task_count(event: Signature) -> Value:
    return len(event.tasks) or None


def _event_count(scene: Scene) -> Value:
    """How many events of the log are of this one's kind and stand in its function."""
    event = scene.event
    if event is None:
        return None
    return sum((other.kind, other.symbol) == (event.kind, event.symbol) for other in scene.incident.events)


def _recursion(event: Signature) -> Value:
    """How often the most frequent function stands in the trace (reliable frames only)."""
    names = [frame.symbol for frame in event.trace if frame.reliable]
    return max(map(names.count, dict.fromkeys(names)), default=None)


def _displacement(event: Signature) -> Value:
    displacement = event.instruction.displacement if event.instruction is not None else None
    return None if displacement is None else displacement & (1 << 64) - 1


_BOOTED_WITH = re.compile(rb"(?:Kernel c|(?<!-)\bC)ommand line: ([^\r\n]{1,4096})")


def _command_line(scene: Scene) -> Value:
    """The words that the boot loader handed over: as the input tells, else the last such line before the event."""
    text = scene.incident.kernel.command_line
    if text is None and scene.incident.log is not None:
        data = scene.incident.log.data
        line = scene.event.line if scene.event is not None else None
        found = None
        for match in _BOOTED_WITH.finditer(data):
            if found is not None and line is not None and data.count(b"\n", 0, match.start()) >= line:
                break
            found = match
        text = found[1].decode("utf-8", "replace") if found else None
    return tuple(text.split()) or None if text else None


def in_order(scene: Scene, name: str) -> tuple[str, ...] | None:
    """The function names behind an ordered fact, innermost first, leftovers on the stack ("?") left out."""
    event = scene.event
    if event is None:
        return None
    if name == "task-frame":
        # under any-task the scene has one task
        trace, own = (event.tasks[0].trace if event.tasks else ()), None
    else:
        trace, own = event.trace, event.symbol
    names = [frame.symbol for frame in trace if frame.reliable] or [frame.symbol for frame in trace]
    if own and names[:1] != [own]:
        names.insert(0, own)
    return tuple(names) or None


_PANIC = "Kernel panic - not syncing:"


def _panics(event: Signature) -> Value:
    """The reasons of the panics that the event's report shows, in order."""
    lines = (line for line in (event.message, *(event.text or ())) if _PANIC in line and "---[ end " not in line)
    found = (line.partition(_PANIC)[2].strip() for line in lines)
    reasons = tuple(dict.fromkeys(reason for reason in found if reason))
    return reasons or (None if event.text is None else ())


def _culprit_taint(event: Signature) -> Value:
    """The letters of the culprit's module; unknown where they are not printed, none for the kernel proper."""
    module = event.culprit.module if event.culprit else None
    if module == "":
        return ()
    if module is None or event.module_taints is None or module not in (event.modules or ()):
        return None  # the list is cut, or was not printed
    return tuple(event.module_taints.get(module, ""))


def _modules(event: Signature) -> Value:
    tags = (event.module, *(frame.module for frame in event.trace))
    known = tuple(dict.fromkeys(tag for tag in tags if tag is not None))
    return known or None


_FACTS = (
    Fact("kind", "text", "The kind of crash.", _event(lambda e: e.kind), "kind", selective=True, closed=KINDS),
    Fact("message", "text", "The event's head line as logged.", _event(lambda e: e.message), "message"),
    Fact(
        "panic", "text", 'What the kernel gave up for: the words behind "Kernel panic - not syncing:".',
        _event(_panics), "panic", many=True, selective=True,
    ),
    Fact(
        "symbol", "text", "The function in which the CPU stood.",
        _event(lambda e: e.symbol), "symbol", selective=True,
    ),
    Fact(
        "offset", "integer", "Offset in the printed function; differs from build to build.",
        _event(lambda e: e.offset), "symbol", hexadecimal=True, in_signature=False,
    ),
    Fact(
        "size", "integer", "Size of the printed function; differs from build to build.",
        _event(lambda e: e.size), "symbol", hexadecimal=True, in_signature=False,
    ),
    Fact(
        "module", "text", 'Module of the function, "" for the kernel proper. A driver may be built in.',
        _event(lambda e: e.module), "symbol",
    ),
    Fact(
        "culprit", "text", "The first function of symbol and trace that is no helper.",
        _event(lambda e: e.culprit.symbol if e.culprit else None), "symbol", selective=True,
    ),
    Fact(
        "culprit-module", "text", "Module of the culprit.",
        _event(lambda e: e.culprit.module if e.culprit else None), "symbol", selective=True,
    ),
    Fact(
        "culprit-module-taint", "text", 'A letter printed behind the culprit\'s module in "Modules linked in:": '
        "O from outside the kernel's tree, P proprietary, E unsigned, F forced.",
        _event(_culprit_taint), many=True, selective=True,
    ),
    Fact(
        "frame", "text", "A function in the trace or where the CPU stood.",
        _event(_frames), "trace", many=True, selective=True, ordered="event",
    ),
    Fact("frame-module", "text", "A module with a function in the trace.", _event(_modules), "trace", many=True),
    Fact(
        "address", "integer", "The faulting address (CR2, or what the head line says).",
        _event(lambda e: e.address), "address", hexadecimal=True,
    ),
    Fact("access", "text", "What the faulting access was.", _event(lambda e: e.access), "access", closed=ACCESSES),
    Fact(
        "context", "text", "In which context the CPU was.",
        _event(lambda e: e.context if e.context != "unknown" else None), "context", closed=CONTEXTS,
    ),
    Fact("cpu", "integer", "Number of the CPU.", _event(lambda e: e.cpu), "cpu"),
    Fact("pid", "integer", "Process id of the current task.", _event(lambda e: e.pid), "pid"),
    Fact("comm", "text", "Name of the current task.", _event(lambda e: e.comm), "comm"),
    Fact(
        "source-line", "text", "File and line that a BUG or WARNING printed.",
        _event(lambda e: e.source_line), "source_line",
    ),
    Fact(
        "instruction", "text", "The faulting instruction, decoded.",
        _event(lambda e: e.instruction.text if e.instruction else None), "code",
    ),
    Fact(
        "release", "text", "The kernel's release, as uname -r prints it.",
        lambda s: (s.event.release if s.event else None) or s.incident.kernel.release,
    ),
    Fact("arch", "text", "The architecture, as uname -m prints it.", lambda s: s.incident.kernel.arch),
    Fact("product", "text", "The kernel's product (kb/products.yaml).", lambda s: s.incident.kernel.product),
    Fact("stream", "text", "The product's line that the kernel is of.", lambda s: s.incident.kernel.stream),
    Fact("taint", "text", "A taint letter of the kernel.", lambda s: s.incident.kernel.taint, many=True),
    Fact("hardware", "text", 'The "Hardware name:" line.', lambda s: s.incident.machine.hardware),
    Fact(
        "build-id", "text", "The kernel's build id, in lower-case hex.", lambda s: s.incident.kernel.build_id,
    ),
    Fact(
        "code", "text", "The bytes around the fault: hex, ?? for any byte, <..> around the one that faulted.",
        _event(lambda e: e.code), "code", pattern=True,
    ),
    Fact(
        "instruction-base", "text", "The base register of the operand that faulted.",
        _event(lambda e: e.instruction.base if e.instruction else None), "code",
    ),
    Fact(
        "instruction-displacement", "integer", "The constant part of that operand, as an unsigned 64-bit number.",
        _event(_displacement), "code", hexadecimal=True,
    ),
    *(
        Fact(
            f"{PREFIX}{name}", "integer", f"Register {name} of the crashed context; needs build-id or code beside it.",
            _event(lambda e, r=name: e.registers.get(r)), register=name, hexadecimal=True,  # type: ignore[misc]
        )
        for name in REGISTERS
    ),
    Fact("hypervisor", "text", "The hypervisor's short name.", lambda s: s.incident.machine.hypervisor),
    Fact("cpus", "integer", "How many CPUs the machine has.", lambda s: s.incident.machine.cpus),
    Fact(
        "command-line", "text", "A word of the kernel's command line.",
        _command_line, many=True,
    ),
    Fact(
        "loaded-module", "text", 'A module behind "Modules linked in:".',
        _event(lambda e: e.modules or None), "modules", many=True,
    ),
    Fact("text", "text", "A line of the event's own report.", _event(lambda e: e.text or None), many=True),
    Fact(
        "log", "text", "A line of the whole log, whatever it belongs to; prefer `text`.",
        lambda s: s.incident.log.lines if s.incident.log else None, many=True,
    ),
    Fact(
        "task-comm", "text", "Name of a blocked task.", _tasks(lambda t: t.comm), many=True,
    ),
    Fact("task-pid", "integer", "Process id of a blocked task.", _tasks(lambda t: t.pid), many=True),
    Fact(
        "task-seconds", "integer", "For how many seconds a task was blocked.", _tasks(lambda t: t.seconds), many=True
    ),
    Fact(
        "task-frame", "text", "A function in the trace of a blocked task.",
        _tasks(lambda t: tuple(f.symbol for f in t.trace)), many=True, selective=True, ordered="task",
    ),
    Fact("task-count", "integer", "How many blocked tasks the event lists.", _event(_task_count), "tasks"),
    Fact("event-count", "integer", "How many events of the log are of this kind in this function.", _event_count),
    Fact(
        "unreclaimable-percent", "integer", "How much of all memory the kernel's slab holds for good.",
        _event(lambda e: unreclaimable_percent(e.text or ())),
    ),
    Fact("recursion", "integer", "How often one function stands in the trace.", _event(_recursion), "trace"),
)  # fmt: skip

FACTS: dict[str, Fact] = {fact.name: fact for fact in _FACTS}
"""All facts by name."""

SELECTIVE: tuple[Fact, ...] = tuple(fact for fact in _FACTS if fact.selective)


def selective_values(scene: Scene) -> Iterator[tuple[str, str]]:
    """The pairs (fact name, value) of a scene by which candidate rules are looked up."""
    for fact in SELECTIVE:
        value = fact.read(scene)
        for one in value if isinstance(value, tuple) else () if value is None else (value,):
            for key in value_keys(fact.name, one):
                yield fact.name, key
