"""Who crashed: the CPU line, the taint, the banner, the hardware - facts that stand once in a report or a boot.

Sources: lib/dump_stack.c (dump_stack_print_info), kernel/panic.c (print_tainted), init/version.c (linux_banner),
arch/x86/kernel/cpu/hypervisor.c, arch/x86/kernel/paravirt.c; the "Pid: , comm:" form is that of kernels before 3.10.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from kbmatch.engine.incident import Machine
from kbmatch.engine.patterns import lazy

_STATE = r"(?:(?P<clean>Not tainted)|Tainted: (?P<taint>[A-Z -]{1,60})(?![A-Za-z]))"
_RELEASE = r"(?P<release>\d+\.\d+[^\s()#]*)"
_CPU = lazy(
    r"CPU: (?P<cpu>\d+)(?: UID: \d+)? PID: (?P<pid>\d+) Comm: (?P<comm>.*?)"
    rf"(?: Kdump: loaded)?(?: +{_STATE}(?: *\(?{_RELEASE}(?: (?P<version>#[^)]*)\)?)?)?|$)"
)
_PID = lazy(
    rf"Pid: (?P<pid>\d+), comm: (?P<comm>.{{0,40}}?)(?: Kdump: loaded)?,? +{_STATE}"
    rf"(?: *\(?{_RELEASE}(?: (?P<version>#[^\s)]+(?: (?:Debian|SMP"
    rf"|PREEMPT)\b[^\s)]*(?: \d\S*)?)*)\)?(?P<hardware>.*))?)?"
)
_BARE_CPU = lazy(rf"CPU: (?P<cpu>\d+) +{_STATE} *\(?{_RELEASE}(?: (?P<version>#[^)]*)\)?)?")
_PLAIN = lazy(rf"{_STATE} *{_RELEASE}(?: (?P<version>#.*))?$")
_LOCKDEP = lazy(rf"{_RELEASE}(?: (?P<version>#\S+(?: [\w-]+)*?))? +{_STATE}")
_RELEASE_ALONE = lazy(rf"{_RELEASE} (?P<version>#\d+\S*)$")
_TOLD_VERSION = lazy(rf"Linux version {_RELEASE} .*?(?P<version>#\d.*)?$")
_EFLAGS = lazy(rf"EFLAGS: [0-9a-f]{{8}} +\({_RELEASE}(?: (?P<version>#[^)]*))?\)")
"""arch/i386/kernel/traps.c (show_registers) of 2.6.9 to 2.6.24."""
_PROCESS = lazy(r"Process (?P<comm>.{1,40}?) \(pid: (?P<pid>\d+)")
_TASK = lazy(r"TASK(?: =|:) ?[0-9a-fx]+\[(?P<pid>\d+)\] '(?P<comm>[^']*)' (?:THREAD|CPU).*?(?:CPU: ?(?P<cpu>\d+))?$")
_CPU_ALONE = lazy(r"CPU[: ]+(?P<cpu>\d+):? *$")
_BANNER = lazy(rb"Linux version (\S{1,120}) [^\n\x1b]{0,600}")
_BANNER_VERSION = lazy(r"\) (#\d[^\n]*)$")
_MONITOR = 2048
LETTERS = "PFSRMBUDAWCIOELKXTNJ"
"""Taint flags, Documentation/admin-guide/tainted-kernels.rst; G says that no proprietary module is loaded: no taint."""

_BOOT_FACTS = lazy(
    rb"Hypervisor detected: (?P<detected>[^\r\n]{1,60})|Booting paravirtualized kernel on (?P<booting>[^\r\n]{1,60})"
    rb"|Brought up (?:\d+ nodes?, )?(?P<cpus>\d+) CPUs?|smpboot: Total of (?P<total>\d+) processors"
    rb"|(?:DMI: |Hardware name: |Machine model: )(?P<hardware>[^\r\n]{1,200})"
    rb"|Kernel Offset: (?P<offset>0x[0-9a-f]+|disabled)"
)


class CpuLine(NamedTuple):
    """What a CPU line says; None where it does not. `taint` is () for "Not tainted"."""

    cpu: int | None = None
    pid: int | None = None
    comm: str | None = None
    release: str | None = None
    version: str | None = None
    taint: tuple[str, ...] | None = None
    hardware: str | None = None


def parse_cpu_line(text: str) -> CpuLine | None:
    """The facts of a "CPU: 0 PID: 1 Comm: init Not tainted 4.19.0 #1" line or of its older forms, or None."""
    if text.startswith("CPU"):
        match = _CPU.match(text) or _BARE_CPU.match(text) or _CPU_ALONE.match(text)
    elif text.startswith("Pid: "):
        match = _PID.match(text)
    elif text.startswith("Process "):
        match = _PROCESS.match(text)
    elif text.startswith("TASK"):
        match = _TASK.match(text)
    else:
        match = None
    return _facts(match) if match else None


def parse_release_line(text: str) -> CpuLine | None:
    """The release and taint of lockdep's "4.12.0 #1 Not tainted" and hung_task's "Not tainted 4.13.0 #4" lines."""
    if "ainted" not in text:
        match = _RELEASE_ALONE.match(text) if text[:1].isdigit() else None
        if text.startswith("Linux version "):
            match = _TOLD_VERSION.match(text)
        elif text.startswith("EFLAGS: "):
            match = _EFLAGS.match(text)
    else:
        match = _PLAIN.match(text) or _LOCKDEP.match(text)
    return _facts(match) if match else None


def _facts(match: re.Match[str]) -> CpuLine:
    got = match.groupdict()
    taint: tuple[str, ...] | None = None
    if got.get("clean"):
        taint = ()
    elif got.get("taint"):
        taint = tuple(dict.fromkeys(c for c in str(got["taint"]) if c in LETTERS))
    cpu, pid = got.get("cpu"), got.get("pid")
    comm = got.get("comm")
    version = got.get("version")
    hardware = got.get("hardware")
    return CpuLine(
        int(cpu) if cpu else None,
        int(pid) if pid else None,
        comm.strip() if comm else None,
        got.get("release"),
        version.strip() if version else None,
        taint,
        hardware.strip() if hardware and hardware.strip() else None,
    )


class Boot(NamedTuple):
    """One boot's banner: byte position, release, version (from "#" on), the whole line."""

    position: int
    release: str
    version: str | None
    banner: str


def find_boots(data: bytes) -> list[Boot]:
    """Every "Linux version ..." banner of `data`, in order; the repetitions of one boot (early console) count once,
    what xmon prints of it amid a crash (arch/powerpc/xmon/xmon.c, excprint, since 4.7) not at all.
    """
    boots: list[Boot] = []
    position = data.find(b"Linux version ")
    while position >= 0 and len(boots) < 10_000:
        match = _BANNER.match(data, position)
        if match and match[1][:1].isdigit() and data.rfind(b": Vector: ", max(0, position - _MONITOR), position) < 0:
            text = match[0].decode("utf-8", "replace").rstrip("\r ,\"}'")
            version = _BANNER_VERSION.search(text)
            boot = Boot(position, match[1].decode("utf-8", "replace"), version[1].strip() if version else None, text)
            if not (boots and boots[-1].banner == boot.banner and position - boots[-1].position < 4096):
                boots.append(boot)
        position = data.find(b"Linux version ", position + 14)
    return boots


def hypervisor_of(text: str) -> str | None:
    """The short name (xen, kvm, vmware, hyperv) that a hardware name or a "Hypervisor detected" text stands for."""
    low = text.lower()
    for word, name in (
        ("xen", "xen"),
        ("vmware", "vmware"),
        ("hyper-v", "hyperv"),
        ("microsoft corporation virtual machine", "hyperv"),
        ("kvm", "kvm"),
        ("google compute engine", "kvm"),
        ("openstack", "kvm"),
        ("amazon ec2", "kvm"),
        ("rhev hypervisor", "kvm"),
        ("ovirt", "kvm"),
        ("virtualbox", "virtualbox"),
        ("acrn", "acrn"),
    ):
        if word in low:
            return name
    return None


def boot_facts(window: bytes) -> tuple[Machine, int | None]:
    """(machine, KASLR offset) from the boot lines and the panic's trailer in `window`; unknown parts are None."""
    hardware: str | None = None
    hypervisor: str | None = None
    cpus: int | None = None
    offset: int | None = None
    for match in _BOOT_FACTS.finditer(window):
        name = match.lastgroup
        value = match[name or 0].decode("utf-8", "replace").strip()
        if name == "detected" or (name == "booting" and value != "bare hardware"):
            hypervisor = hypervisor or hypervisor_of(value)
        elif name in ("cpus", "total"):
            cpus = cpus or int(value)
        elif name == "hardware":
            hardware = hardware or value
        elif name == "offset":
            offset = 0 if value == "disabled" else int(value, 16)
    if hypervisor is None and hardware:
        hypervisor = hypervisor_of(hardware)
    return Machine(hardware=hardware, hypervisor=hypervisor, cpus=cpus), offset


_ARCH_SUFFIX = (
    (lazy(r"x86_64|amd64"), "x86_64"),
    (lazy(r"aarch64|arm64"), "aarch64"),
    (lazy(r"ppc64le|ppc64el|powerpc64le"), "ppc64le"),
    (lazy(r"ppc64|powerpc64"), "ppc64"),
    (lazy(r"s390x"), "s390x"),
    (lazy(r"riscv64"), "riscv64"),
    (lazy(r"armv\d|armhf|armmp|-arm(?:el)?\b"), "arm"),
    (lazy(r"i[3-6]86|-686(?:-pae)?\b"), "i386"),
)


def arch_of_name(text: str) -> str | None:
    """The architecture that a release or a banner names, as uname -m prints it; None if it names none."""
    for pattern, arch in _ARCH_SUFFIX:
        if pattern.search(text):
            return arch
    return None
