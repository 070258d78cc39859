"""Register lines and program counters of an oops, by architecture.

Sources: arch/x86/kernel/process_{32,64}.c (__show_regs), arch/arm/kernel/process.c, arch/arm64/kernel/process.c,
arch/powerpc/kernel/process.c (show_regs), arch/powerpc/xmon/xmon.c (excprint, 4.14), arch/s390/kernel/dumpstack.c,
arch/riscv/kernel/process.c.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from kbmatch.engine.patterns import lazy

_PAIR = lazy(
    r"(?<![\w.])(?P<name>R[A-D]X|R[SD]I|R[SB]P|R\d{1,2}|E[A-D]X|E[SD]I|E[SB]P|E?FLAGS|ORIG_[RE]AX|CR[0-8]|DR[0-7]|"
    r"[C-GS]S|knlGS|PKRU|"
    r"x\d{1,2}|[xw]zr|sp|pc|lr|fp|ip|psr|pstate|r\d{1,2}|"
    r"NIP|LR|CTR|REGS|MSR|CR|XER|CFAR|DAR|DSISR|IRQMASK|"
    r"epc|ra|gp|tp|t[0-6]|s\d{1,2}|a[0-7]|status|badaddr|cause|orig_a0)"
    r" ?: {0,2}(?:\w{4}:)?\[?<?(?P<value>(?:0x)?[0-9a-f]{4,16})\b>?\]?"
)
_PPC_GPR = lazy(r"GPR(\d\d):((?: [0-9a-f]{8,16}){1,8})")
_S390_GPR = lazy(r"Krnl GPRS: ((?:[0-9a-f]{16} ?){1,4})")
_RIP = lazy(r"(?:RIP|EIP):? *:? ?(?P<cs>[0-9a-f]{4}):(?P<rest>.*)")
_RIP_OLD = lazy(r"(?:RIP|EIP|IP):? +(?P<rest>\[?<.*|[A-Za-z_.]\S*\+0x.*|0x[0-9a-f]+.*)")
_ADDRESS = lazy(r"\[?<(?P<address>[0-9a-f]{8,16})>\]?")
_PSW = lazy(r"Krnl PSW : (?P<mask>[0-9a-f]{16}) (?P<address>[0-9a-f]{16})(?: \((?P<rest>.*)\))?")


_OLD_MODULE = lazy(r":(?P<module>[\w-]{1,60}):(?P<place>[A-Za-z_.][\w.$]*\+0x[0-9a-f]+/0x[0-9a-f]+)")


def with_module_behind(place: str) -> str:
    """A place of a module as today's kernels print it, "lab_read+0x12/0x50 [lab]".

    arch/x86_64/kernel/traps.c (printk_address) of 2.6.18 has ":lab:lab_read+0x12/0x50".
    """
    if place[:1] != ":":
        return place
    return _OLD_MODULE.sub(r"\g<place> [\g<module>]", place, count=1)


class Where(NamedTuple):
    """A program counter line: the location as printed (None for a bare address), the address if printed, and whether
    the CPU was in user space.
    """

    printed: str | None
    address: int | None
    user: bool
    final: bool = False


def _place(rest: str, user: bool, final: bool = False) -> Where:
    addresses = list(_ADDRESS.finditer(rest))
    end = addresses[-1].end() if addresses else 0
    printed: str | None = with_module_behind(rest[end:].strip()) or None
    address = int(addresses[-1]["address"], 16) if addresses else None
    if printed:
        printed = str(re.split(r"\s+(?:E?FLAGS|[RE]SP|SS:)", printed)[0])
        bare = re.match(r"0x([0-9a-f]{1,16})\b", printed)
        if bare and address is None:
            address = int(bare[1], 16)
        if printed.endswith("(null)") or not re.match(r"0x|[\w.$<]+\+0x|[A-Za-z_][\w.$]* (?:\(|\S+:\d)", printed):
            address = address or 0 if printed.endswith("(null)") else address
            printed = None
    return Where(printed, address, user, final)


def program_counter(text: str) -> Where | None:
    """The place that `RIP:`, `IP:`, `PC is at`, `pc :`, `NIP [..]`, `epc :` or `Krnl PSW` names, or None.

    `final` marks the line that x86 repeats before "end trace" (arch/x86/kernel/dumpstack.c, oops_end); it has no
    colon behind the segment or no segment.
    """
    lead = text[:4]
    if lead == "EIP " and text.startswith("EIP is at "):
        return _place(text[10:], False)._replace(final=False)
    if lead in ("RIP:", "EIP:", "RIP ", "EIP ", "IP: "):
        match = _RIP.match(text)
        if match:
            user = int(match["cs"], 16) & 3 != 0
            return _place(match["rest"], user)
        match = _RIP_OLD.match(text)
        return _place(match["rest"], False, final=not text.startswith("IP")) if match else None
    if text.startswith("PC is at "):
        return Where(text.partition(" is at ")[2].strip(), None, False)
    if text.startswith("pc : "):
        rest = text[5:].strip()
        match = _ADDRESS.match(rest)
        if match:
            return Where(None, int(match["address"], 16), False)
        return Where(rest, None, False) if re.match(r"[A-Za-z_.]|0x", rest) else None
    if lead == "pc: ":
        # xmon: the address, then the place
        match = re.match(r"pc: ([0-9a-f]{8,16}): ([A-Za-z_.]\S*\+0x.*)", text)
        return Where(match[2].strip(), int(match[1], 16), False) if match else None
    if text.startswith("NIP ["):
        match = re.match(r"NIP \[([0-9a-f]+)\] (.*)", text)
        return Where(match[2].strip() or None, int(match[1], 16), False) if match else None
    if text.startswith("epc : "):
        rest = text[6:].strip()
        if re.match(r"[0-9a-f]{8,16}\b", rest):
            return None
        return Where(re.split(r"\s+ra : ", rest)[0].strip(), None, False)
    if text.startswith(("epc  ", "era  ", "ERA: ")):
        # mips, loongarch (before 6.2 in small letters): the address, then the place
        match = re.match(r"(?:(?:epc|era) +:|ERA:) ([0-9a-f]{8,16}) ([A-Za-z_.]\S*\+0x.*)", text)
        return Where(match[2].strip(), int(match[1], 16), False) if match else None
    if text.startswith("Krnl PSW"):
        match = _PSW.match(text)
        if match:
            inner = match["rest"]
            if inner:
                inner = re.sub(r"^\[<[0-9a-f]+>\] ?", "", inner)
            return Where(inner or None, int(match["address"], 16), False)
    return None


def register_pairs(text: str) -> dict[str, int]:
    """Registers that a line shows, lower-case names to values; {} where it shows none."""
    if ":" not in text:
        return {}
    gpr = _PPC_GPR.match(text)
    if gpr:
        base = int(gpr[1])
        return {f"r{base + i}": int(v, 16) for i, v in enumerate(gpr[2].split())}
    return {_plain(m["name"]): int(m["value"], 16) for m in _PAIR.finditer(text)}


def _plain(name: str) -> str:
    """Rax of RAX; r8 of R08, as assemblers and capstone write it."""
    low = name.lower()
    return low[0] + low[2:] if len(low) == 3 and low[1] == "0" and low[0] in "rx" else low


def s390_registers(text: str, known: int) -> dict[str, int]:
    """The next registers of s390's four-a-line block; `known` is how many were read before."""
    match = re.fullmatch(r"(?:Krnl GPRS: )?((?:[0-9a-f]{16} ?){4})", text)
    if not match or known > 12:
        return {}
    return {f"r{known + i}": int(v, 16) for i, v in enumerate(match[1].split())}


_MONITOR = lazy(r"dar: (?P<dar>[0-9a-f]{1,16})$|pid   = (?P<pid>\d{1,9}), comm = (?P<comm>.{1,40})$")


def monitor_facts(text: str) -> tuple[int | None, tuple[str, int] | None]:
    """(the address that faulted, the task's name and pid) of one line of xmon's, what it does not say None."""
    match = _MONITOR.match(text)
    if match is None:
        return None, None
    return (int(match["dar"], 16), None) if match["dar"] else (None, (match["comm"], int(match["pid"])))
