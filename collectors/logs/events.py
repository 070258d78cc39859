"""From reports to Signatures: kind, place, address, access, trace - and which event ended the kernel."""

from __future__ import annotations

import re

from kbmatch.collectors.logs.dies import die_kind
from kbmatch.collectors.logs.draft import Body, Draft
from kbmatch.collectors.logs.grouping import reason_kind
from kbmatch.collectors.logs.header import arch_of_name
from kbmatch.collectors.logs.lines import Line
from kbmatch.collectors.logs.modules import module_names, module_taints
from kbmatch.collectors.logs.report import FAULT_REGISTERS, read_body
from kbmatch.collectors.logs.reporters import reporting_place
from kbmatch.collectors.logs.stacks import chosen_section, context_of
from kbmatch.collectors.logs.tasks import hung_tasks
from kbmatch.collectors.logs.typed import as_printed, reason_of
from kbmatch.engine.kinds import NULL_DEREF_LIMIT
from kbmatch.engine.patterns import lazy
from kbmatch.engine.signature import Instruction, Signature
from kbmatch.engine.symbols import parse_location
from kbmatch.engine.values import replace

_STALLS = frozenset(("rcu-stall", "soft-lockup", "hard-lockup", "workqueue-stall"))
_FAULTS = frozenset(("null-deref", "page-fault"))
_DECODABLE = ("x86_64", "i386", "aarch64")
_WHERE_SOURCE = lazy(r"\(([^()\s]+:\d+)[^)]*\)|\s([\w./+-]+\.[chSs]:\d+)\b")
_PROTECTOR = lazy(r"stack-protector: Kernel stack is corrupted in: (?P<printed>.*)")


def event_arch(body: Body) -> str | None:
    """The architecture that a report shows: by its release, its program counter's line or its registers' names."""
    release = (body.cpu_line and body.cpu_line.release) or (body.release_line and body.release_line.release)
    named = arch_of_name(release) if release else None
    if named:
        return named
    if body.arch == "arm" and ("x0" in body.registers or "pstate" in body.registers):
        return "aarch64"
    if body.arch == "x86_64" and "eax" in body.registers:
        return "i386"
    return body.arch


def signature_of(draft: Draft) -> tuple[Signature, Body]:
    """The Signature of one report (not yet marked fatal, without culprit) and what its lines say."""
    body = read_body(draft)
    match, line = draft.strongest
    groups: dict[str, str] = {}
    for other, _ in draft.heads:
        for key, value in other.groups.items():
            groups.setdefault(key, value)
    groups.update(match.groups)
    kind = match.head.kind
    if kind == "panic":
        kind = reason_kind(reason_of(groups))
    frames, marks, trace_line, cut, cut_line = chosen_section(body, kind)
    if cut is not None and body.where is not None and cut.printed != body.where.printed and kind in _STALLS:
        # a WARNING broke into the stall's report: the registers read first are its own
        body.where, body.registers, body.code = cut, {}, None
        body.lines = {"symbol": cut_line or line.number}
    printed, address_of_ip, place_line = _place(draft, body, kind, reporting_place(frames), trace_line)
    symbol, offset, size, module = parse_location(printed) if printed else (None, None, None, None)
    if kind == "bug" and printed == groups.get("printed") == symbol:
        module = None  # a driver named its function, no frame tells where it is
    address, address_line = _address(body, groups, kind)
    kind = _refined(kind, draft, body, groups, address)
    fault_address, address, address_line = address, *_behind_shadow(body, kind, address, address_line)
    kind = _refined(kind, draft, body, groups, address)
    access = _access(body, groups, kind, event_arch(body))
    registers: dict[str, int | None] = {}
    if body.where is not None and kind_has_registers(body):
        counter = _COUNTER.get(event_arch(body) or "", "rip")
        registers[counter] = address_of_ip
    registers.update(body.registers)
    cpu_line = body.cpu_line
    cpu = _cpu(body, groups)
    pid = cpu_line.pid if cpu_line and cpu_line.comm is not None else None
    comm = cpu_line.comm if cpu_line else None
    if comm is None:
        comm, pid = (groups.get("comm") or None), _int(groups.get("pid")) if pid is None else pid
        if comm is None and body.task:
            comm, pid = body.task
    if frames and printed and event_arch(body) not in ("x86_64", "i386", None) and body.where is not None:
        # these architectures begin the trace with the place itself
        again = frames[0].printed == printed or (frames[0].offset is None and frames[0].symbol == symbol)
        if again and frames[0].reliable:
            frames, marks = frames[1:], marks[1:]
    tasks = hung_tasks(draft) if kind == "hung-task" else ()
    if kind == "hung-task":
        cpu, pid, comm = None, None, None
        if tasks and tasks[0].trace:
            frames = list(tasks[0].trace)
            marks = [None] * len(frames)
            top = next((f for f in frames if f.reliable), frames[0])
            printed, symbol, offset, size, module = top.printed, top.symbol, top.offset, top.size, top.module
    lines = {
        "symbol": place_line,
        "address": address_line,
        "access": body.lines.get("access"),
        "code": body.lines.get("code"),
        "instruction": body.lines.get("code"),
        "registers": body.lines.get("registers"),
        "trace": trace_line,
        "source_line": body.lines.get("source_line"),
        "panic": draft.panics[0][1].number if draft.panics else None,
    }
    event = Signature(
        kind=kind,
        message=line.text,
        line=line.number,
        time=line.time,
        cpu=cpu,
        pid=pid,
        comm=comm,
        context=context_of(frames, marks, body.caller),
        symbol=symbol,
        printed=printed,
        offset=offset,
        size=size,
        module=module,
        address=address,
        access=access,
        registers=registers,
        code=body.code,
        instruction=_instruction(body, registers, fault_address, access),
        source_line=_source(groups, printed, body),
        tasks=tasks,
        trace=tuple(frames),
        lines={name: number for name, number in lines.items() if number not in (None, line.number)},
        text=tuple(dict.fromkeys(one.text for one in _own_lines(draft))),
        modules=module_names(body.modules),
        module_taints=module_taints(body.modules),
        locks=tuple(body.locks),
    )
    return event, body


def _own_lines(draft: Draft) -> list[Line]:
    """The report's own lines in log order: heads, body, and the panic that belongs to it."""
    heads = [
        line._replace(text=as_printed(line.text, match.groups)) if match.head.role == "panic" else line
        for match, line in (*draft.heads, *draft.panics)
    ]
    lines = [*heads, *draft.lines]
    return sorted(lines, key=lambda line: line.number)


_COUNTER = {
    "x86_64": "rip",
    "i386": "eip",
    "aarch64": "pc",
    "arm": "pc",
    "ppc64le": "nip",
    "ppc64": "nip",
    "riscv64": "epc",
    "s390x": "psw",
}


def kind_has_registers(body: Body) -> bool:
    """Whether a kernel register block was read, so that the program counter belongs among the registers."""
    return bool(body.registers)


def _cpu(body: Body, groups: dict[str, str]) -> int | None:
    if body.cpu_line is not None and body.cpu_line.cpu is not None:
        return body.cpu_line.cpu
    if body.first_cpu is not None:
        return body.first_cpu
    if "xcpu" in groups:
        return int(groups["xcpu"], 16)
    return _int(groups.get("cpu") or groups.get("cpu2"))


def _int(text: str | None) -> int | None:
    return int(text) if text and text.isdigit() else None


def _place(
    draft: Draft, body: Body, kind: str, caller: str | None, trace_line: int | None
) -> tuple[str | None, int | None, int | None]:
    """(printed location, address if printed, line) of where the CPU stood; `caller` called a driver's reporter."""
    where = body.where
    address = where.address if where else None
    if kind == "lockdep" and draft.strongest[0].head.kind == "lockdep":
        return body.lock_at, address, body.lines.get("symbol")
    for match, line in reversed(draft.heads):
        printed = match.groups.get("printed")
        if printed and "+0x" in printed:
            return _trimmed(printed), address, line.number
    if caller is not None and kind in ("other", "bug"):
        return caller, address, trace_line
    if where is not None and where.printed:
        return _trimmed(where.printed), address, body.lines.get("symbol")
    for match, line in [*draft.heads, *draft.panics]:
        protector = _PROTECTOR.match(match.groups.get("reason", ""))
        if protector and not re.fullmatch(r"(?:0x)?[0-9a-f]{8,16}", protector["printed"]):
            return _trimmed(protector["printed"]), address, line.number
    for match, line in reversed(draft.heads):
        printed = match.groups.get("printed")
        if printed and re.match(r"[A-Za-z_][\w.]*(?: \(|$|\s)", printed):
            return _trimmed(printed), address, line.number
    return None, address, None


def _trimmed(printed: str) -> str:
    """A location without what follows it on the line: "()" of old WARNINGs, file names of decoded logs."""
    match = re.match(r"([^\s(]+\+0x[0-9a-f]+/0x[0-9a-f]+(?: \[[\w.-]+[^\]]{0,60}\])?)", printed)
    if match:
        return match[1]
    return printed.removesuffix("()").strip()


def _address(body: Body, groups: dict[str, str], kind: str) -> tuple[int | None, int | None]:
    """(faulting address, its line if that is not the head's)."""
    given = groups.get("address")
    if given is not None:
        return (0 if given == "(null)" else int(given, 16) & 0xFFFFFFFFFFFFFFFF), None
    if body.address is not None:
        return body.address, body.lines.get("address")
    if kind in _FAULTS or kind in ("stack-overflow", "double-fault"):
        if body.last_cr2 is not None:
            return body.last_cr2, body.lines.get("last_cr2")
        for name in FAULT_REGISTERS:
            value = body.registers.get(name)
            if value is not None:
                return value, body.lines.get(name)
    return None, None


def _behind_shadow(body: Body, kind: str, address: int | None, line: int | None) -> tuple[int | None, int | None]:
    """(address, its line): where a check of KASAN's faulted, its shadow byte was read, and KASAN tells what for
    (mm/kasan/report.c, kasan_non_canonical_hook).
    """
    if body.behind_shadow is None or (kind not in _FAULTS and kind != "gpf"):
        return address, line
    return body.behind_shadow, body.lines.get("behind_shadow")


def _refined(kind: str, draft: Draft, body: Body, groups: dict[str, str], address: int | None) -> str:
    """The kind, after what only the whole report tells."""
    if kind in _FAULTS and address is not None:
        kind = "null-deref" if address < NULL_DEREF_LIMIT else "page-fault"
    strongest = draft.strongest[0]
    if kind == "other" and strongest.head.role == "die" and "what" in strongest.groups:
        kind = die_kind(strongest.groups["what"], strongest.groups.get("code") or "0")
    if kind == "warning":
        file = groups.get("file", "")
        text = groups.get("printed", "")
        if file.endswith("lib/refcount.c") or "lib/refcount.c:" in file or text.startswith("refcount_"):
            kind = "refcount"
        elif "kernel/locking/lockdep.c:" in file or "kernel/lockdep.c:" in file:
            kind = "lockdep"
        elif "lib/list_debug.c:" in file:
            kind = "list-corruption"
        elif "mm/usercopy.c:" in file:
            kind = "usercopy"
    crash = (body.where.printed or "") if body.where else ""
    if kind in _FAULTS and crash.startswith("sysrq_handle_crash"):
        kind = "sysrq"
    return kind


def _access(body: Body, groups: dict[str, str], kind: str, arch: str | None) -> str | None:
    """read, write or exec, from the text or from the architecture's error code."""
    named = groups.get("access")
    if body.access:
        return body.access
    if named:
        return {"read": "read", "write": "write", "data": None}.get(named, "exec")
    code = groups.get("code")
    if kind not in ("null-deref", "page-fault", "stack-overflow", "sysrq") or not code:
        return None
    try:
        value = int(code, 16)
    except ValueError:
        return None
    if arch in ("x86_64", "i386", None):
        # arch/x86/include/asm/trap_pf.h: bit 1 write, bit 4 instruction fetch
        return "exec" if value & 0x10 else "write" if value & 2 else "read"
    if arch == "aarch64":
        # arch/arm64/include/asm/esr.h: exception class in bits 26-31, WnR bit 6
        group = value >> 26 & 0x3F
        if group in (0x20, 0x21):
            return "exec"
        return ("write" if value & 0x40 else "read") if group in (0x24, 0x25) else None
    if arch == "arm":
        # arch/arm/mm/fault.h: FSR_WRITE bit 11; bit 31 is set for instruction aborts
        return "exec" if value & 1 << 31 else "write" if value & 1 << 11 else "read"
    return None


def _instruction(
    body: Body, registers: dict[str, int | None], address: int | None, access: str | None
) -> Instruction | None:
    arch = event_arch(body)
    if not body.code or arch not in _DECODABLE or access == "exec":
        return None
    from kbmatch.collectors.instructions.decode import decode_fault

    return decode_fault(body.code, arch, registers, address)


def _source(groups: dict[str, str], printed: str | None, body: Body) -> str | None:
    if groups.get("file"):
        return groups["file"].rstrip("!")
    if "path" in groups and "row" in groups:
        return f"{groups['path']}:{groups['row']}"
    for text in (printed, body.where.printed if body.where else None):
        match = _WHERE_SOURCE.search(text) if text else None
        if match:
            return match[1] or match[2]
    return body.source_line


def mark_fatal(events: list[Signature], drafts: list[Draft]) -> int | None:
    """The index of the first event of the chain that ended the kernel, None without events.

    In the first boot that has one: the event that a panic belongs to, and before it the oopses that led to it at once
    (within five seconds); else the first oops or BUG; else the first event that is more than what happens in passing (a
    failed allocation of pages). Where texts were pasted together (the clock goes back without a banner), only the first
    counts.
    """
    if not events:
        return None
    first = drafts[0].excerpt
    for boot in sorted({d.boot for d in drafts if d.excerpt == first}):
        here = [i for i, d in enumerate(drafts) if d.boot == boot and d.excerpt == first]
        ended = next((i for i in here if drafts[i].panics or events[i].kind in ("panic", "sysrq")), None)
        if ended is not None:
            return _chain_start(ended, here, events, drafts)
    mine = [i for i, d in enumerate(drafts) if d.excerpt == first]
    telling = next((i for i in mine if not drafts[i].in_passing), mine[0])
    return next((i for i in mine if drafts[i].is_oops), telling)


def _chain_start(ended: int, here: list[int], events: list[Signature], drafts: list[Draft]) -> int:
    start = ended
    if not drafts[ended].is_oops:
        return start
    for i in reversed([i for i in here if i < ended]):
        before, after = events[i].time, events[start].time
        close = before is None or after is None or 0 <= after - before <= 5
        if not drafts[i].is_oops or not close:
            break
        start = i
    return start


def with_fatal(events: list[Signature], fatal: int | None) -> list[Signature]:
    """The events with the fatal one marked."""
    return [replace(e, fatal=i == fatal) for i, e in enumerate(events)]
