"""What a die line ("<text>: <code> [#1]") says that the table of heads does not know by name."""

from __future__ import annotations

from kbmatch.engine.patterns import lazy

_DIE_KINDS = (
    (lazy(r"$|.*(?:access|page fault|paging|user ?(?:space )?memory)"), "page-fault"),
    (lazy(r".*misaligned|.*unaligned"), "alignment"),
    (lazy(r".*(?:undefined|illegal) instruction|Exception in kernel mode, sig: 4$"), "invalid-opcode"),
    (lazy(r".*\bBUG\b|CFI\b"), "bug"),
    (lazy(r"[Kk]ernel stack overflow"), "stack-overflow"),
    (lazy(r"(?:aarch64 BRK|ptrace BRK handler|BRK handler)$"), "brk"),
)
_OOPS = lazy(r"Oops\b[ :-]*")


def die_kind(what: str, code: str) -> str:
    """The kind of a die line whose text no head names, by what it says between "Oops" and the code.

    Sources (4.14 to 6.6): arch/arm/mm/fault.c ("Oops"), arch/arm/kernel/traps.c ("Oops - bad mode"),
    arch/arm64/kernel/traps.c ("Oops - CFI", "Oops - undefined instruction"), arch/arm64/kernel/debug-monitors.c,
    arch/riscv/kernel/traps.c ("Oops - load address misaligned"), arch/powerpc/kernel/traps.c ("Unrecoverable exception,
    sig: 6").
    """
    oops = _OOPS.match(what)
    rest = what[oops.end() :] if oops else what
    if rest.endswith(", sig"):
        rest = f"{rest}: {code}"
    for pattern, kind in _DIE_KINDS:
        if pattern.match(rest) and (rest or oops):
            if kind == "brk":
                return _brk_kind(int(code, 16))
            return kind
    return "other"


def _brk_kind(syndrome: int) -> str:
    """The kind of a break that no handler took: its immediate, arch/arm64/include/asm/brk-imm.h."""
    immediate = syndrome & 0xFFFF
    if immediate == 0x800:
        return "bug"
    return {0x55: "ubsan", 0x9: "kasan"}.get(immediate >> 8, "other")
