"""VMCOREINFO: what the kernel tells dump readers about itself.

Source: Documentation/admin-guide/kdump/vmcoreinfo.rst and kernel/vmcore_info.c (crash_core.c before 6.9).
Symbol addresses include KASLR; KERNELOFFSET is hexadecimal without 0x, NUMBER() decimal (or 0x on arm64),
both signed.
"""

from __future__ import annotations

from kbmatch.engine.values import dataclass, field

MAX_BYTES = 1 << 20
_U64 = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class VmcoreInfo:
    """The parsed text. `values` are the plain KEY=VALUE lines (OSRELEASE, BUILD-ID, PAGESIZE, CRASHTIME"
    " ...).
    """

    values: dict[str, str] = field(default_factory=dict)
    symbols: dict[str, int] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    offsets: dict[str, int] = field(default_factory=dict)
    lengths: dict[str, int] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)

    @property
    def release(self) -> str | None:
        """OSRELEASE, the kernel's release."""
        return self.values.get("OSRELEASE") or None

    @property
    def build_id(self) -> str | None:
        """The kernel's build id in lower-case hex (5.9 and later)."""
        return self.values.get("BUILD-ID") or None

    @property
    def kernel_offset(self) -> int | None:
        """KERNELOFFSET: the KASLR offset of the kernel image."""
        return _integer(self.values.get("KERNELOFFSET", ""), 16)

    @property
    def page_size(self) -> int | None:
        """PAGESIZE in bytes."""
        return _integer(self.values.get("PAGESIZE", ""), 10)

    @property
    def machine(self) -> str | None:
        """The architecture, told by the names that only one of them exports; None where nothing tells."""
        if "kimage_voffset" in self.numbers or "VA_BITS" in self.numbers:
            return "aarch64"
        if {"init_top_pgt", "init_level4_pgt"} & self.symbols.keys() or "phys_base" in self.numbers:
            return "x86_64"
        return None

    def phys_base(self) -> int | None:
        """NUMBER(phys_base), signed (x86_64, 4.10 and later)."""
        value = self.numbers.get("phys_base")
        if value is not None and value >= 1 << 63:
            value -= 1 << 64
        return value


def parse_vmcoreinfo(data: bytes) -> VmcoreInfo:
    """The facts in the text; lines that make no sense are left out. Reads to the first NUL, 1 MiB at most."""
    info = VmcoreInfo()
    groups = {
        "SYMBOL": info.symbols,
        "SIZE": info.sizes,
        "OFFSET": info.offsets,
        "LENGTH": info.lengths,
        "NUMBER": info.numbers,
    }
    for line in data[:MAX_BYTES].split(b"\0", 1)[0].decode("utf-8", "replace").splitlines():
        key, equals, value = line.partition("=")
        if not equals:
            continue
        kind, bracket, name = key.partition("(")
        if not bracket:
            info.values.setdefault(key, value.strip())
            continue
        group = groups.get(kind)
        number = _integer(value, 16 if kind == "SYMBOL" else 0)
        if group is not None and name.endswith(")") and number is not None:
            group.setdefault(name[:-1], number & _U64 if kind == "SYMBOL" else number)
    return info


def _integer(text: str, base: int) -> int | None:
    if not 0 < len(text) <= 24:
        return None
    try:
        return int(text, base)
    except ValueError:
        return None
