"""Finding the kernel's symbol table in its memory, where no VMCOREINFO (or one before 6.0) tells.

Source: scripts/kallsyms.c. The token table holds every character that occurs as a token of its own, so "0" to "9" stand
side by side; the token index behind it tells its beginning. Up to 6.3 the order is offsets, relative_base (or
addresses), num_syms, names, markers, (sequence numbers,) token_table, token_index; since 6.4 the offsets stand behind
the token index. Every label is aligned to 8 bytes. A marker is the position of every 256th name.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from itertools import islice, pairwise

from kbmatch.collectors.memory.kallsyms import MAX_NAMES, MAX_SYMBOLS, Kallsyms
from kbmatch.collectors.memory.memory import Memory
from kbmatch.engine.errors import DamagedDump, MemoryUnavailable

_DIGITS = b"".join(bytes([c]) + b"\0" for c in b"0123456789")
_CHUNK = 1 << 20
_TABLE_SPAN = 4096
# Sequence numbers of 6.2 and 6.3 (3 bytes a symbol) stand between markers and tokens.
_MARKER_SPAN = 4 << 20
_MIN_STEP, _MAX_STEP = 256, 256 * 128
_MAX_TABLES = 16
_MAX_CANDIDATES = 64
_UNMAPPED_STEP = 1 << 16
_BASE_DISTANCE = 2 << 20
_IMAGE_SPAN = 1 << 30


def find_kallsyms(memory: Memory, start: int, length: int) -> Kallsyms | None:
    """The symbol table in the image at `start`, None where there is none or pages of it were left out."""
    for number, digits in enumerate(_digit_runs(memory, start, length)):
        if number >= _MAX_TABLES:
            return None
        try:
            tables = _tables(memory, digits, start)
            if tables is not None:
                return Kallsyms(memory, tables)
        except (MemoryUnavailable, DamagedDump, struct.error):
            continue
    return None


def _digit_runs(memory: Memory, start: int, length: int) -> Iterator[int]:
    """Virtual addresses at which the digits stand, ascending."""
    container = memory.container
    for address, physical, together in _linear_runs(memory, start, length):
        for low, high in container.physical_ranges(physical, physical + together):
            for base in range(low, high, _CHUNK):
                try:
                    data = container.read_physical(base, min(_CHUNK + len(_DIGITS), high - base))
                except MemoryUnavailable:
                    continue
                found = data.find(_DIGITS)
                while found >= 0:
                    yield address + base + found - physical
                    found = data.find(_DIGITS, found + 1)


def _linear_runs(memory: Memory, start: int, length: int) -> Iterator[tuple[int, int, int]]:
    """(virtual, physical, bytes) of what is mapped in one piece."""
    address, end = start, start + length
    run = (start, 0, 0)
    while address < end:
        try:
            physical, together = memory.translation.translate(address)
        except MemoryUnavailable:
            address += _UNMAPPED_STEP
            continue
        together = min(together, end - address)
        if address == run[0] + run[2] and physical == run[1] + run[2]:
            run = (run[0], run[1], run[2] + together)
        else:
            if run[2]:
                yield run
            run = (address, physical, together)
        address += together
    if run[2]:
        yield run


def _there(memory: Memory, address: int, length: int) -> bytes:
    """The bytes from `address` up to the first page that is not there."""
    data = b""
    while len(data) < length:
        at = address + len(data)
        try:
            data += memory.read(at, min(length - len(data), 4096 - at % 4096))
        except MemoryUnavailable:
            break
    return data


def _there_before(memory: Memory, address: int, length: int) -> bytes:
    """The bytes before `address`, `length` at most, back to the first page that is not there."""
    try:
        return memory.read(address - length, length)
    except MemoryUnavailable:
        pass
    parts: list[bytes] = []
    at = address
    while at > address - length:
        low = max(at - 1 & ~4095, address - length)
        try:
            parts.append(memory.read(low, at - low))
        except MemoryUnavailable:
            break
        at = low
    return b"".join(reversed(parts))


def _tables(memory: Memory, digits: int, start: int) -> dict[str, int] | None:
    data = _there(memory, digits, _TABLE_SPAN)
    position = 0
    for _ in range(256 - ord("0")):
        position = data.find(b"\0", position) + 1
        if position == 0:
            return None
    index_at = digits + position + 7 & ~7
    index = struct.unpack("<256H", memory.read(index_at, 512))
    if index[0] or any(low >= high for low, high in pairwise(index)) or index[ord("9")] - index[ord("0")] != 18:
        return None
    token_table = digits - index[ord("0")]
    tables = {"kallsyms_token_table": token_table, "kallsyms_token_index": index_at}
    for width in (4, 8):
        for markers_at, markers in islice(_markers(memory, token_table, width), _MAX_CANDIDATES):
            names = _names(memory, markers_at, markers)
            if names is not None:
                tables |= {"kallsyms_names": names[0], "kallsyms_num_syms": names[0] - 8}
                addresses = _addresses(memory, names[0] - 8, names[1], index_at + 512, start)
                if addresses is not None:
                    return tables | addresses
    return None


def _markers(memory: Memory, token_table: int, width: int) -> Iterator[tuple[int, list[int]]]:
    """(address, values) of arrays that look like markers, the nearest before the token table first."""
    for size in (1 << 14, 1 << 17, 3 << 17, 1 << 20, _MARKER_SPAN):
        window = _there_before(memory, token_table, size)
        # Labels are aligned to 8 bytes: whole words, counted back from the token table.
        window = window[len(window) % 8 :]
        values = struct.unpack(f"<{len(window) // width}{'I' if width == 4 else 'Q'}", window)
        for number in range(len(values) - 3, -1, -1):
            if values[number] or not _MIN_STEP <= values[number + 1] <= _MAX_STEP:
                continue
            last = number + 1
            while last + 1 < len(values) and _MIN_STEP <= values[last + 1] - values[last] <= _MAX_STEP:
                last += 1
            # The array ends where the next label begins: only whole ascents from a zero on count.
            if last - number >= 2:
                yield token_table - len(window) + number * width, list(values[number : last + 1])


def _names(memory: Memory, markers_at: int, markers: list[int]) -> tuple[int, int] | None:
    """(address of the names, number of symbols): names whose first 256 are as long as the markers say.

    They begin where the last block, at most 256 names, still ends before the markers.
    """
    if markers[-1] > MAX_NAMES:
        return None
    count = len(markers)
    start = markers_at - markers[-1] - _MAX_STEP & ~7
    data = _filled(memory, start - 8, 8 + _MAX_STEP + markers[1] + 8)
    for at in range(8, 8 + _MAX_STEP + 8, 8):
        number, high = struct.unpack_from("<II", data, at - 8)
        if high or not (count - 1) * 256 < number <= count * 256 or number > MAX_SYMBOLS:
            continue
        position = at
        for _ in range(256):
            if position >= len(data) - 1:
                break
            step = data[position]
            position += 2 + (step & 0x7F | data[position + 1] << 7) if step & 0x80 else 1 + step
        if position - at == markers[1]:
            return start - 8 + at, number
    return None


def _filled(memory: Memory, address: int, length: int) -> bytes:
    """The bytes, zeros where pages are not there: for guesses that are checked."""
    try:
        return memory.read(address, length)
    except MemoryUnavailable:
        pass
    parts: list[bytes] = []
    at = address
    while at < address + length:
        step = min(4096 - at % 4096, address + length - at)
        try:
            parts.append(memory.read(at, step))
        except MemoryUnavailable:
            parts.append(bytes(step))
        at += step
    return b"".join(parts)


def _addresses(memory: Memory, before: int, count: int, behind: int, low: int) -> dict[str, int] | None:
    size = 4 * count + 7 & ~7
    for offsets, base_at in ((before - 8 - size, before - 8), (behind, behind + size)):
        try:
            base = memory.read_u64(base_at)
            tail = struct.unpack("<64i", memory.read(offsets + 4 * (count - 64), 256))
        except MemoryUnavailable:
            continue
        # The base is the lowest address of the image; offsets ascend, or descend from -1 (see kallsyms.py).
        addresses = [base - 1 - o if tail[-1] < 0 else base + o for o in tail]
        if abs(base - low) < _BASE_DISTANCE and _ascend(addresses) and addresses[-1] < low + _IMAGE_SPAN:
            return {"kallsyms_offsets": offsets, "kallsyms_relative_base": base_at}
    at = before - 8 * count
    ends = memory.read_u64_array(at + 8 * (count - 64), 64)
    return {"kallsyms_addresses": at} if _ascend(ends) and ends[0] >= low else None


def _ascend(values: Sequence[int]) -> bool:
    return all(a <= b for a, b in pairwise(values))
