"""Small facts that the kernel keeps in variables of its own: command line, taint, banner, the CPU that panicked.

Sources: init/main.c (saved_command_line), kernel/panic.c (tainted_mask, panic_cpu), init/version.c
(linux_banner), include/linux/panic.h and Documentation/admin-guide/tainted-kernels.rst for the letters.
"""

from __future__ import annotations

from collections.abc import Mapping

from kbmatch.collectors.memory.memory import Memory
from kbmatch.engine.errors import MemoryUnavailable
from kbmatch.engine.values import dataclass

FACT_SYMBOLS = ("saved_command_line", "tainted_mask", "linux_banner", "panic_cpu", "crashing_cpu", "__num_online_cpus")
_TAINT_LETTERS = "PFSRMBUDAWCIOELKXTNJ"
_MAX_CPU = 8192


@dataclass(frozen=True, slots=True)
class KernelFacts:
    """Facts from memory; None where not known. `taint` has the letters of the bits that are set."""

    command_line: str | None = None
    taint: tuple[str, ...] | None = None
    banner: str | None = None
    panic_cpu: int | None = None
    online_cpus: int | None = None


def read_facts(memory: Memory | None, addresses: Mapping[str, int]) -> KernelFacts:
    """What can be read at these addresses of FACT_SYMBOLS. Never raises."""
    if memory is None:
        return KernelFacts()
    cpu = None
    for name in ("panic_cpu", "crashing_cpu"):
        value = _number(memory, addresses.get(name), 4)
        if cpu is None and value is not None and value < _MAX_CPU:
            cpu = value
    mask = _number(memory, addresses.get("tainted_mask"), 8)
    online = _number(memory, addresses.get("__num_online_cpus"), 4)
    pointer = _number(memory, addresses.get("saved_command_line"), 8)
    banner = _text(memory, addresses.get("linux_banner"), 1024)
    return KernelFacts(
        command_line=_text(memory, pointer, 4096),
        taint=None if mask is None else tuple(c for n, c in enumerate(_TAINT_LETTERS) if mask >> n & 1),
        banner=banner.strip() if banner is not None and banner.startswith("Linux version ") else None,
        panic_cpu=cpu,
        online_cpus=online if online is not None and 0 < online <= _MAX_CPU else None,
    )


def _number(memory: Memory, address: int | None, size: int) -> int | None:
    if address is None:
        return None
    try:
        return int.from_bytes(memory.read(address, size), "little")
    except MemoryUnavailable:
        return None


def _text(memory: Memory, address: int | None, limit: int) -> str | None:
    if not address:
        return None
    try:
        return memory.read_c_string(address, limit).decode("utf-8", "replace") or None
    except MemoryUnavailable:
        return None
