"""One crash report: its lines, read into the facts of a Signature.

The layouts are those of the architectures' show_regs() and die(), of lib/dump_stack.c and of the reporters named in
heads.py. What comes first and is of kernel mode is the fault; later register blocks belong to the interrupted context,
to user space, or repeat the first.
"""

from __future__ import annotations

import re

from kbmatch.collectors.logs.draft import MARKERLESS, TRAP_KINDS, Body, Draft, TraceSection
from kbmatch.collectors.logs.header import CpuLine, parse_cpu_line, parse_release_line
from kbmatch.collectors.logs.lines import Line
from kbmatch.collectors.logs.modules import ModuleList
from kbmatch.collectors.logs.registers import Where, monitor_facts, program_counter, register_pairs, s390_registers
from kbmatch.collectors.logs.stacks import stalled_lines
from kbmatch.collectors.logs.trace import parse_frame, starts_side_report, starts_trace
from kbmatch.engine.patterns import lazy
from kbmatch.engine.signature import Frame
from kbmatch.engine.symbols import parse_location

_CODE = lazy(r"Code: ?(?P<code>(?:\(?<?[0-9a-f]{2,8}>?\)?[ ]*)+)")
_CODE_PIECE = lazy(r"(?:[<(]?[0-9a-f]{2,8}[>)]? )*[<(]?[0-9a-f]{2,8}[>)]? ?$")
_HARDWARE = lazy(r"Hardware name: (.+)")
_ACCESS = lazy(
    r"(?P<verb>Read|Write) (?:of size (?P<size>\d+) )?at addr (?:<[0-9a-f]+>"
    r"|(?P<addr>[0-9a-f]{4,16}))(?: by task (?P<comm>.+)/(?P<pid>\d+))?"
)
_ACCESS_OLD = lazy(r"(?P<verb>Read|Write) of size (?P<size>\d+) by task (?P<comm>.+)/(?P<pid>\d+)")
_PF = lazy(r"#PF: (?:supervisor|user)(?:-privileged)? (?P<verb>read|write|instruction fetch)")
_RANGE = lazy(r"KASAN: [\w -]+ in range \[(0x[0-9a-f]{1,16})-0x")
_MAX_FRAMES = 256
FAULT_REGISTERS = ("cr2", "dar", "badaddr")
"""Registers that hold the faulting address: x86, powerpc, riscv."""
_HELD = ("already holding lock:", "already holding:")


_ARCH_OF_COUNTER = (
    ("RIP", "x86_64"),
    ("EIP", "i386"),
    ("PC is at", "arm"),
    ("pc : ", "aarch64"),
    ("NIP [", "ppc64le"),
    ("pc: ", "ppc64le"),
    ("epc : ", "riscv64"),
    ("ERA: ", "loongarch64"),
    ("era  ", "loongarch64"),
    ("Krnl PSW", "s390x"),
)
_LOCK_ADDRESS = lazy(r"^\[<[0-9a-f]+>\] ?")
_LOCK_NEXT = lazy(
    r"is trying to (?:acquire|release|lock)|takes:$|still has locks held|is freeing memory|"
    r"(?:is )?exiting with locks still held|just changed the state of lock|lock held when"
)


_RISCV_CAUSE = {0xC: "exec", 0xD: "read", 0xF: "write", 0x1: "exec", 0x5: "read", 0x7: "write"}
"""scause of page and access faults (RISC-V privileged specification)."""


def body_has_place(body: Body) -> bool:
    """Whether a program counter and registers were read on an architecture that prints frames without a header."""
    return body.where is not None and body.arch in ("arm", "riscv64", "aarch64") and bool(body.registers)


class _Reader:
    """Reads the lines of one report in order; `body` holds the result."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.body = Body()
        self.section: TraceSection | None = TraceSection() if kind in MARKERLESS else None
        if self.section is not None:
            self.body.sections.append(self.section)
        self.loose = TraceSection()
        self.side = False
        self.user = False
        self.block_done = False
        self.gpr = 0
        self.mark: str | None = None
        self.code_open = False
        self.modules = ModuleList()
        self.aside = False
        self.lock_next = False
        self.lock_held = False
        self.number = 0

    def feed(self, line: Line) -> None:
        """Take the report's next line."""
        text = line.text
        if not text:
            return
        self.number = line.number
        body = self.body
        if self.code_open:
            self.code_open = False
            if _CODE_PIECE.match(text) and body.code is not None and len(body.code) < 400:
                body.code = f"{body.code} {text}".strip()
                self.code_open = True
                return
        if (self.modules.open and self.modules.goes_on(text)) or (text[0] in "CPT" and self._cpu_line(text)):
            return
        if starts_trace(text):
            self._start_trace(text)
            return
        if text.endswith(":") or text.startswith(("PID = ", "kfence-", "Bytes ", "INFO: ", "Local variable")):
            if self.kind != "memory-leak" and starts_side_report(text):
                self.side = True
                return
            if text.endswith("kthread stack dump:"):
                self.aside = True
                return
            if self.side and self.kind == "kcsan" and "by " in text:
                return
        if (self.lock_next or self.lock_held) and self._lock(text):
            return
        frame = parse_frame(text)
        if frame is not None and (frame.frames or frame.marks):
            self._frame(frame.frames, frame.marks, frame.source_line)
            return
        where = program_counter(text)
        if where is not None:
            self._counter(text, where)
            return
        self._other(text)

    def _start_trace(self, text: str) -> None:
        self.side = False
        self.mark = None
        if self.section is None or self.section.frames:
            self.section = TraceSection(cpu=self.section.cpu if self.section and not self.section.frames else None)
            if len(self.body.sections) < 64:
                self.body.sections.append(self.section)
        self.section.aside, self.aside = self.aside, False
        self.section.fresh = self.body.where is None
        # 2.6 and 3.x put the first mark and frame behind the header
        rest = text.partition("race:")[2].strip()
        if rest:
            frame = parse_frame(rest)
            if frame:
                self._frame(frame.frames, frame.marks, frame.source_line)

    def _frame(self, frames: tuple[Frame, ...], marks: tuple[str, ...], source: str | None) -> None:
        arm = False
        for mark in marks:
            if mark == "ARM":
                arm = True
            elif mark.startswith("/") or mark in ("EOI", "EOE"):
                self.mark = None
            else:
                self.mark = mark
        section = self.section
        if (
            section is None
            and body_has_place(self.body)
            and self.kind in TRAP_KINDS
            and not self.side
            and not self.user
        ):
            # arm and riscv print the frames right behind the registers
            self._start_trace("")
            section = self.section
        if section is None and not self.side:
            section = self.loose
        if section is None or self.side:
            return
        if arm and section.frames:
            frames = frames[-1:]
        for frame in frames:
            if len(section.frames) < _MAX_FRAMES:
                section.frames.append(frame)
                section.marks.append(self.mark)
                section.numbers.append(self.number)
                if source and self.body.source_line is None and frame.reliable and frame.offset is not None:
                    self.body.source_line = source if self.kind in ("kasan", "kmsan") else None
                    self.body.lines["source_line"] = self.number

    def _cpu_line(self, text: str) -> bool:
        cpu = parse_cpu_line(text)
        if cpu is None:
            return False
        body = self.body
        body.hardware = body.hardware or cpu.hardware
        if cpu.comm is not None or cpu.release is not None:
            if body.cpu_line is None or (body.cpu_line.release is None and cpu.release is not None):
                old = body.cpu_line
                if old is not None:
                    cpu = CpuLine(
                        old.cpu if cpu.cpu is None else cpu.cpu,
                        old.pid if cpu.pid is None else cpu.pid,
                        cpu.comm or old.comm,
                        cpu.release,
                        cpu.version,
                        cpu.taint,
                    )
                body.cpu_line = cpu
            elif body.cpu_line.comm is None and cpu.comm is not None:
                old = body.cpu_line
                body.cpu_line = old._replace(comm=cpu.comm, pid=cpu.pid)
        elif cpu.cpu is not None and body.first_cpu is None:
            body.first_cpu = cpu.cpu
        if self.kind in ("kasan", "kcsan", "kfence", "kmsan") and cpu.comm is not None:
            self.side = False
        return True

    def _counter(self, text: str, where: Where) -> None:
        body = self.body
        for lead, arch in _ARCH_OF_COUNTER:
            if text.startswith(lead) and body.arch in (None, "x86_64"):
                body.arch = "arm" if arch == "aarch64" and "[<" in text else arch
                break
        self.user = where.user
        if self.section is not None and self.section.frames and not where.user and where.printed:
            self.section.cuts.append((len(self.section.frames), where, self.number))
            self.mark = None
        if where.user or self.kind not in TRAP_KINDS or (self.kind == "panic" and self.section and self.section.frames):
            if not where.user:
                self.block_done = True
            return
        inline = body.where is not None and "+0x" not in (body.where.printed or "") and not body.registers
        if body.where is None or (inline and "+0x" in (where.printed or "")):
            body.where = where
            body.lines["symbol"] = self.number
        elif body.where.printed is None and where.printed and not self.block_done:
            body.where = Where(where.printed, body.where.address or where.address, False)
        elif body.where.printed and not self.block_done and body.where.address is None and where.address is not None:
            body.where = Where(body.where.printed, where.address, False)
        elif body.registers and (text.startswith(("RIP: 0", "EIP: 0")) or where.final):
            self.block_done = True

    def _other(self, text: str) -> None:
        body = self.body
        if text.startswith("CR2: "):
            pairs = register_pairs(text)
            if "cr3" not in pairs:
                body.lines["last_cr2"] = self.number
                body.last_cr2 = pairs.get("cr2", body.last_cr2)
                return
        if text.startswith("Code:"):
            self._code(text)
            return
        if text.startswith("Instruction dump:") and body.code is None:
            body.code, self.code_open = "", True
            body.lines["code"] = self.number
            return
        if text.startswith("status: ") and "cause: " in text and body.access is None:
            body.access = _RISCV_CAUSE.get(register_pairs(text).get("cause", 0))
            body.lines["access"] = self.number
        if self.modules.begins(text):
            return
        match = _HARDWARE.search(text) if "Hardware name: " in text else None
        if match:
            body.hardware = body.hardware or match[1].strip()
            return
        if text.startswith("Kernel Offset: "):
            match = re.match(r"Kernel Offset: (?:(0x[0-9a-f]{1,16})|disabled)", text)
            if match:
                body.kaslr_offset = int(match[1], 16) if match[1] else 0
            return
        if self._details(text):
            return
        release = parse_release_line(text)
        if release is not None and body.release_line is None:
            body.release_line = release
            return
        if not (self.user or self.block_done or self.kind not in TRAP_KINDS):
            self._registers(text)

    def _registers(self, text: str) -> None:
        body = self.body
        pairs = register_pairs(text) if ": " in text or ":" in text else {}
        if not pairs and body.arch == "s390x":
            pairs = s390_registers(text, self.gpr)
            self.gpr += len(pairs)
        for name, value in pairs.items():
            if name not in body.registers:
                body.registers[name] = value
                body.lines.setdefault("registers", self.number)
                if name in FAULT_REGISTERS:
                    body.lines[name] = self.number

    def _s390_fault(self, text: str) -> None:
        """arch/s390/mm/fault.c: the page that failed, and the translation-exception id (FSI: bits 52, 53)."""
        match = re.match(r"Failing address: ([0-9a-f]{16})(?: TEID: ([0-9a-f]{16}))?", text)
        if match:
            self.body.address = int(match[1], 16)
            self.body.lines["address"] = self.body.lines["access"] = self.number
            kind = int(match[2], 16) & 0xC00 if match[2] else 0
            self.body.access = {0x400: "write", 0x800: "read"}.get(kind, self.body.access)

    def _code(self, text: str) -> None:
        body = self.body
        match = _CODE.match(text)
        if match and not self.user and self.kind in TRAP_KINDS and body.code is None:
            code = match["code"].strip()
            if len(code) > 8:
                body.code = code
                body.lines["code"] = self.number
                self.code_open = True

    def _details(self, text: str) -> bool:
        """Accesses, addresses and locks that single lines name; True where the line was one."""
        body = self.body
        if text.startswith(("Read", "Write")):
            match = _ACCESS.match(text) or _ACCESS_OLD.match(text)
            if match and body.access is None:
                got = match.groupdict()
                body.access = got["verb"].lower()
                body.lines["access"] = self.number
                if got.get("addr"):
                    body.lines["address"] = self.number
                    body.address = int(got["addr"], 16)
                if got.get("comm"):
                    body.task = (got["comm"], int(got["pid"]))
                return True
        if text.startswith("Failing address: "):
            self._s390_fault(text)
            return True
        if text.startswith(("dar: ", "pid   = ")):
            address, task = monitor_facts(text)
            body.address, body.task = (address if body.address is None else body.address), body.task or task
            return True
        if text.startswith("KASAN: "):
            match = _RANGE.match(text)
            if match:
                body.behind_shadow = int(match[1], 16)
                body.lines["behind_shadow"] = self.number
                return True
        if text.startswith("#PF: "):
            match = _PF.match(text)
            if match:
                body.access = {"read": "read", "write": "write"}.get(match["verb"], "exec")
                body.lines["access"] = self.number
                return True
        if self.kind == "lockdep":
            return self._lock(text)
        return False

    def _lock(self, text: str) -> bool:
        """Where lockdep says that a lock was taken: the one at hand, then those that the task already held.

        Decoded logs repeat the line for each inlined level, the function with the offset comes last.
        """
        body = self.body
        if text.startswith("last function: ") and body.lock_at is None:
            body.lock_at = text[15:].strip()
            body.lines["symbol"] = self.number
            return True
        if not (self.lock_next or self.lock_held):
            self.lock_next = body.lock_at is None and _LOCK_NEXT.search(text) is not None
            self.lock_held = body.lock_at is not None and text.endswith(_HELD)
            return False
        site = _lock_site(text)
        if site is not None and len(body.locks) < _MAX_FRAMES:
            body.locks.append(site)
        inlined = site is not None and text.endswith("[inline]")
        if (site is not None and not inlined) or (site is None and body.locks and text):
            if self.lock_next and body.lock_at is None:
                body.lock_at = body.locks[-1].printed
                body.lines["symbol"] = self.number
            self.lock_next = self.lock_held = False
        return site is not None


def _lock_site(text: str) -> Frame | None:
    """The function behind "at:" in a line of lockdep's, or behind the address that it prints alone."""
    before, _, place = text.rpartition(" at: ")
    if not before and not text.startswith("[<"):
        return None
    place = _LOCK_ADDRESS.sub("", place.strip())
    found = parse_frame(place, markers=False)
    if found is not None and found.frames:
        return found.frames[0]
    symbol = parse_location(place)[0]
    return Frame(symbol, place) if symbol else None


def read_body(draft: Draft) -> Body:
    """Everything that the lines of `draft` say."""
    reader = _Reader(draft.kind)
    reader.lock_next = _LOCK_NEXT.search(draft.strongest[1].text) is not None
    lines = stalled_lines(draft.lines) if draft.kind == "rcu-stall" else draft.lines
    for line in lines:
        reader.feed(line)
    body = reader.body
    if reader.loose.frames and not any(section.frames for section in body.sections):
        body.sections.append(reader.loose)  # the "Call Trace:" line is lost or was left out
    if len(lines) != len(draft.lines) and not any(f and f.release for f in (body.cpu_line, body.release_line)):
        found = (parse_cpu_line(line.text) for line in draft.lines)
        body.release_line = next((c for c in found if c and c.release), body.release_line)
    body.modules = reader.modules.text
    body.caller = draft.heads[0][1].caller
    return body
