"""Names as the kernel prints them: `sym+0x1/0x2 [mod]`, and the decorations that compilers and tracers add.

Sources: lib/vsprintf.c and kernel/kallsyms.c (`%pS`, `%pB`: symbol+offset/size, module, since 5.15 an optional build
id behind the module's name), GCC and LLVM naming of cloned functions, scripts/decode_stacktrace.sh (`func
(file.c:12)`), arch/powerpc's leading dots of the ELFv1 ABI, UEK's DTrace (`__dta_NAME_NN`).
"""

from __future__ import annotations

from functools import lru_cache

from kbmatch.engine.patterns import lazy

_SUFFIX = lazy(
    r"(?:\.(?:isra|constprop|part|cold|llvm|lto_priv|cfi_jt|cfi|clone|localalias|pfi|specialized)(?:\.\d+)*|\.\d+)+$"
)
_DTRACE = lazy(r"__dta_(.+)_\d+$")
_LOCATION = lazy(
    r"(?P<symbol>[A-Za-z_.$<{:][^\s+()\[\]]*(?:<[^\n+]{0,200}>[^\s+()\[\]]*)?)"
    r"\+(?P<offset>0x[0-9a-fA-F]{1,16})/(?P<size>0x[0-9a-fA-F]{1,16})"
    r"(?:\s+\[(?P<module>[\w.-]+)[^\]\n]{0,80}\])?"
)
_DECODED = lazy(
    r"(?P<symbol>[A-Za-z_.$][\w.$]*)\s+\((?:[^()\s]+:[\d?]+|[^()\s]+\.[chS]\b)(?:[^()\n]|\([^()\n]*\)){0,240}\)"
    r"(?:\s+\[?(?P<module>[\w-]+)\b[^\]\n]{0,60}\]?)?"
)
_BARE = lazy(r"(?P<symbol>\.?[A-Za-z_$][\w.$]*)(?:\s+\[(?P<module>[\w-]+)[^\]\n]{0,60}\])?$")


@lru_cache(maxsize=8192)
def strip_decorations(name: str) -> str:
    """The function's name in the source: without `.isra.N .constprop.N .part.N .cold .llvm.N .lto_priv`, `__pfx_`,
    the `__dta_NAME_NN` of UEK's DTrace, and the dot that ppc64 ELFv1 puts in front of a function's text.
    """
    if name.startswith("."):
        name = name[1:]
    name = name.removeprefix("__pfx_")
    name = _SUFFIX.sub("", name) or name
    dtrace = _DTRACE.match(name)
    return _SUFFIX.sub("", dtrace[1]) if dtrace else name


@lru_cache(maxsize=8192)
def parse_location(printed: str) -> tuple[str | None, int | None, int | None, str | None]:
    """(symbol, offset, size, module) of `sym+0x1/0x2 [mod]`, `sym (file.c:12) mod` or a bare name.

    `symbol` has its decorations stripped, `offset` and `size` are bytes as printed; `module` is "" where no tag was
    printed. All are None where the text names no symbol (a bare address).
    """
    text = printed.strip()
    match = _LOCATION.match(text)
    if match:
        symbol = strip_decorations(match["symbol"])
        return symbol, int(match["offset"], 16), int(match["size"], 16), match["module"] or ""
    match = _DECODED.match(text) or _BARE.match(text)
    if match:
        return strip_decorations(match["symbol"]), None, None, match["module"] or ""
    return None, None, None, None
