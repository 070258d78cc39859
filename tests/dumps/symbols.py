"""Puts a kallsyms table and a stack into a synthetic guest. Source: scripts/kallsyms.c, kernel/kallsyms.c."""

from __future__ import annotations

import struct

from dumps.guest import Guest

TABLE = 0x60000  # offset from _stext
CODE = 0x40000
STACK = 0xB0000


def add_kallsyms(
    guest: Guest,
    functions: list[str],
    *,
    per_cpu: bool = True,
    wide: bool = False,
    behind: bool = False,
    told: bool = True,
    data: dict[str, int] | None = None,
) -> dict[str, int]:
    """Functions of 64 bytes each from _stext + CODE on, after 300 filler symbols; their addresses by name.

    Every character is a token of its own. `per_cpu` writes offsets as x86 before 6.15 did, else plain ones; `wide`
    writes 64-bit addresses as before 4.6, `behind` the offsets behind the tokens as since 6.4. `told` names the
    tables in VMCOREINFO. `data` are further symbols, offsets from _stext by name.
    """
    text = guest.text
    names = [(text + 16 * n, f"tfiller_{n}") for n in range(1000)]
    names += [(text + CODE + 64 * n, f"T{name}") for n, name in enumerate(functions)]
    names.append((text + CODE + 64 * len(functions), "T_etext"))
    names = sorted(names + [(text + at, f"D{name}") for name, at in (data or {}).items()])
    packed = b""
    markers: list[int] = []
    for number, (_, name) in enumerate(names):
        if number % 256 == 0:
            markers.append(len(packed))
        raw = name.encode()
        packed += (bytes([len(raw)]) if len(raw) < 128 else bytes([len(raw) & 0x7F | 0x80, len(raw) >> 7])) + raw
    tokens, index = b"", []
    for number in range(256):
        index.append(len(tokens))
        tokens += (bytes([number]) if 33 <= number < 127 else b"?") + b"\0"
    at = text + TABLE
    places: dict[str, int] = {}
    addresses: dict[str, bytes] = {}
    if wide:
        addresses["kallsyms_addresses"] = b"".join(struct.pack("<Q", a) for a, _ in names)
    else:
        values = (text - 1 - a if per_cpu else a - text for a, _ in names)
        addresses["kallsyms_offsets"] = b"".join(struct.pack("<i", v) for v in values)
        addresses["kallsyms_relative_base"] = struct.pack("<Q", text)
    parts = {
        "kallsyms_num_syms": struct.pack("<I", len(names)),
        "kallsyms_names": packed,
        "kallsyms_markers": struct.pack(f"<{len(markers)}{'Q' if wide else 'I'}", *markers),
        "kallsyms_token_table": tokens,
        "kallsyms_token_index": struct.pack("<256H", *index),
    }
    for name, content in (parts | addresses if behind else addresses | parts).items():
        guest.put(at, content)
        places[name] = at
        at += len(content) + 7 & ~7
    if told:
        guest.vmcoreinfo += b"".join(b"SYMBOL(%s)=%x\n" % (n.encode(), a) for n, a in places.items())
    return {name: text + CODE + 64 * n for n, name in enumerate(functions)}


def call_at(guest: Guest, address: int) -> int:
    """Write a call instruction into a function; the return address behind it."""
    guest.put(address, b"\xe8\0\0\0\0")
    return address + 5
